import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { KitChoice } from "./kits.js";

let choice;
let sent;
let waiting; // what is done a moment later

beforeEach(() => {
  sent = [];
  waiting = null;
  choice = new KitChoice({ start: (act) => (waiting = act), cancel: () => (waiting = null) });
  choice.send = (event, value) => sent.push(value);
});

function wait() {
  const act = waiting;
  waiting = null;
  act?.();
}

const known = (kit, ...voices) => ({ kit, voice_kits: voices });

test("a choice that was lost is sent again, and shown meanwhile", () => {
  choice.choose(["Jazz", null]);
  choice.choose(["Room", null]);
  assert.equal(choice.receive(known("Jazz")), "Room");
  wait();
  assert.equal(choice.receive(known("Room")), "Room");
  wait();
  assert.deepEqual(sent, [["Jazz", null], ["Room", null], ["Room", null]]);
});

test("choices for several voices are sent until each is confirmed", () => {
  choice.choose(["Jazz", 0]);
  choice.choose([null, 2]);
  sent = [];
  wait();
  choice.receive(known("Standard", [0, "Jazz"], [2, "Room"]));
  wait();
  choice.receive(known("Standard", [0, "Jazz"]));
  assert.deepEqual(sent, [["Jazz", 0], [null, 2]]);
  assert.equal(choice.isUnconfirmed, false);
});

test("a common kit is for the voices without their own, as chosen here", () => {
  choice.receive(known("Standard", [0, "Jazz"], [2, "Room"]));
  choice.choose([null, 2]);
  choice.choose(["Power", null]);
  assert.deepEqual([null, 0, 1, 2].map((voice) => choice.of(voice)), ["Power", "Jazz", "Power", "Power"]);
  assert.deepEqual(choice.voicesOf(null), [1, 2, 3, 4, 5, 6, 7, 8]);
  assert.deepEqual(choice.voicesOf(0), [0]);
});

test("a kit that Python does not accept is not sent for ever", () => {
  choice.choose(["None such", null]);
  for (let run = 0; run < 9; run += 1) wait();
  assert.equal(choice.receive(known("Standard")), "Standard");
  assert.equal(sent.length, 3);
});
