// Loads the scripts of pages that may be opened later, while the user does nothing: first their files,
// then, since evaluating a large one stalls the page, each in a quiet moment of its own; at last a chart
// is drawn out of sight. Once a window.

import { engine } from "./player/engine.js";

const QUIET_MS = 2000; // without a press, a key or a move of the pointer
const STALL_SECONDS = 3; // playback is scheduled so far ahead
const POINTS = {
  type: "scattergl",
  mode: "markers",
  x: [0, 1],
  y: [0, 1],
  text: ["", ""],
  marker: { size: 6, opacity: 0.85, line: { width: 0 } },
};
const SMALL_CHART = {
  data: [POINTS, { ...POINTS }],
  layout: { dragmode: "pan", legend: { orientation: "h" }, yaxis: { scaleanchor: "x" } },
};
const ACTS = ["pointermove", "pointerdown", "click", "keydown", "wheel", "touchstart"];

// For tests: the addresses of what was begun, and of what is there.
const KEY = Symbol.for("groove-space.scripts");
const { begun, loaded } = (globalThis[KEY] ??= { begun: new Set(), loaded: new Set() });

// addresses: relative to the app's.
export async function preloadScripts(addresses) {
  const urls = addresses.map((address) => new URL(address, document.baseURI).href);
  const fresh = urls.filter((url) => !begun.has(url));
  if (!fresh.length || /** @type {any} */ (navigator).connection?.saveData) return;
  for (const url of fresh) begun.add(url);
  await quietMoment(() => !engine.hasKit && !engine.problem); // sounds come first
  await Promise.all(fresh.map(fetchScript));
  for (const url of fresh) {
    await quietMoment(isSendingMidi);
    engine.scheduleAhead(STALL_SECONDS);
    await import(url).catch(() => {}); // whoever needs it reports it
    if (url === fresh.at(-1)) await warmUp();
    loaded.add(url);
  }
}

// Draws a small chart out of sight and removes it, so that Plotly's code is compiled: the first chart
// of a window takes longer than the next one.
async function warmUp() {
  const { Plotly } = /** @type {any} */ (globalThis); // as its script leaves it
  if (!Plotly) return;
  await quietMoment(isSendingMidi);
  engine.scheduleAhead(STALL_SECONDS);
  const place = document.createElement("div");
  place.style.cssText = "position: fixed; left: -9999px; width: 600px; height: 400px";
  place.ariaHidden = "true";
  document.body.append(place);
  try {
    await Plotly.newPlot(place, SMALL_CHART.data, SMALL_CHART.layout);
    Plotly.purge(place);
  } catch {
    // the page with a chart reports it
  }
  place.remove();
}

// Events for a MIDI port are sent just before they sound, and would be late.
const isSendingMidi = () => Boolean(engine.now && engine.midi);

// Fetches and compiles a script, whose module is then found by `import`, also by Streamlit's own.
function fetchScript(url) {
  return new Promise((resolve) => {
    const link = document.createElement("link");
    Object.assign(link, { rel: "modulepreload", href: url, onload: resolve, onerror: resolve });
    document.head.append(link);
  });
}

// Resolves when the user has done nothing for a while and the browser is idle.
function quietMoment(isBusy) {
  return new Promise((resolve) => {
    const listening = new AbortController();
    let timer = null;
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(end, QUIET_MS);
    };
    const end = () => {
      if (isBusy()) return wait();
      listening.abort();
      (globalThis.requestIdleCallback ?? setTimeout)(resolve);
    };
    const options = { capture: true, passive: true, signal: listening.signal };
    for (const act of ACTS) window.addEventListener(act, wait, options);
    wait();
  });
}
