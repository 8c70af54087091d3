// What a deck sends to Python. Settings (names, stars, edits, changes, places in a morph) are sent
// repeatedly until Python confirms them, since an event can be lost as its page is left, or while the
// connection is down. Requests that depend on settings, such as for a file, wait until all are confirmed.

import { RESEND_MS } from "./revision.js";
import { engine } from "../player/engine.js";
import { Delay } from "../debounce.js";

const SETTINGS = ["keep", "rename", "move", "change"];
const HOLD_MS = 1500; // after which a request is sent anyway: earlier messages may be lost

export class Messages {
  send; // send(event, value) sends to Python; set by whoever mounts the deck
  #held = []; // [event, value] of requests that wait
  #hasSentEdits = false; // whether the edits that they wait for were sent
  #holdTimer = null;
  #resends = {}; // event → when its settings are sent again

  constructor(deck) {
    this.deck = deck;
  }

  // Sends something that depends on nothing else.
  sendNow(event, value) {
    if (this.deck.data.can[event]) this.send(event, value);
  }

  // Sends a request once Python knows everything that was set before, on cards or the transport bar.
  request(event, value) {
    if (!this.deck.data.can[event]) return;
    this.#held.push([event, value]);
    this.#hasSentEdits = false;
    this.sendHeld();
  }

  // Sends the next request that waits, if it need not wait any longer.
  sendHeld() {
    if (!this.#held.length) return;
    if (this.settle()) this.#sendNext();
    else this.#holdTimer ??= setTimeout(() => this.#sendNext(), HOLD_MS);
  }

  #sendNext() {
    clearTimeout(this.#holdTimer);
    this.#holdTimer = null;
    this.#hasSentEdits = false;
    if (this.#held.length && this.deck.root.isConnected) this.send(...this.#held.shift());
  }

  // Whether Python knows all settings; what it does not know yet is sent now, one at a time.
  settle() {
    if (engine.settings?.isUnconfirmed) {
      engine.settings.now();
      return false;
    }
    if (!this.#hasSentEdits) this.sendSettings("edit");
    this.#hasSentEdits = true; // an edit that Python does not accept is not sent repeatedly
    return !this.#unconfirmed("edit").length && !this.#unconfirmed("change").length;
  }

  // Sends what was set on cards, repeatedly until it is confirmed. A change applies to an edited
  // groove: it waits while edits are still being sent.
  sendSettings(event, [delay, ...later] = RESEND_MS) {
    const resend = (this.#resends[event] ??= new Delay());
    resend.cancel();
    const isSendingEdits = this.#resends.edit?.isStarted && this.#unconfirmed("edit").length;
    if (event === "change" && isSendingEdits) return;
    const open = this.#unconfirmed(event);
    if (!open.length || !this.deck.data.can[event] || !this.deck.root.isConnected) return;
    this.send(event, open);
    if (delay) resend.start(() => this.sendSettings(event, later), delay);
  }

  // Sends each card's next change; it applies to the result of the one before.
  sendNextChanges() {
    const next = [...this.deck.views.values()].filter((view) => view.settings.change.next());
    if (next.length) this.sendSettings("change");
  }

  // Sends again what was set just before the user left the page and was lost on its way.
  sendLost() {
    for (const event of SETTINGS) {
      if (this.#unconfirmed(event).length && !this.#resends[event]?.isStarted) this.sendSettings(event);
    }
  }

  // What was set on cards and Python has not confirmed yet: [[id, revision, …value], …].
  #unconfirmed(event) {
    const own = [...this.deck.views].map(([id, view]) => [id, view.own[event]]);
    const open = own.filter(([, one]) => one?.revision.isUnconfirmed);
    return open.map(([id, { value, revision }]) => [id, revision.number, ...value]);
  }
}
