// Draws one groove on two canvases: what stands still, and over it what moves as it plays.
//
// A scene is {place (see layout.js), hits, labels, palette, silent: rows that are not heard,
// bar: the one that loops alone or null, differing: see `differences`, tall: whether a hit is as
// high as it is loud}.

import { STEPS_PER_BAR, STEPS_PER_BEAT } from "./score.js";

const HIT_STEPS = 0.62; // drawn length of a hit; the left edge is where it sounds
const GLOW_STEPS = 2; // how long a hit stays lit after the playhead has passed it
const SILENT_ALPHA = 0.22;
const FINEST_GRID_PX = 4; // below it, only beats have lines

// Colours come from the style sheet, so that the theme has one home.
export function readPalette(source, rows) {
  const style = getComputedStyle(source);
  const colour = (name) => style.getPropertyValue(name).trim();
  return {
    text: colour("--deck-label"),
    step: colour("--deck-step"),
    beat: colour("--deck-beat"),
    bar: colour("--deck-bar"),
    band: colour("--deck-band"),
    head: colour("--deck-head"),
    changed: colour("--deck-changed"),
    ghost: colour("--deck-ghost"),
    chosen: colour("--deck-chosen"),
    font: style.fontFamily,
    hits: Array.from({ length: rows }, (_, row) => colour(`--deck-voice-${row}`)),
  };
}

export function drawStill(canvas, scene) {
  const pen = penOf(canvas, scene.place);
  if (!pen) return;
  const { place } = scene;
  for (let system = 0; system < place.systems; system += 1) {
    drawRows(pen, scene, system);
    if (scene.bar !== null) drawChosen(pen, scene, system);
    drawGrid(pen, scene, system);
  }
  for (const cell of scene.differing) drawDifference(pen, scene, cell);
  for (const hit of scene.hits) drawHit(pen, scene, hit, 0);
}

// at: the playhead in steps, or null; glow: whether hits light up as they sound.
export function drawLive(canvas, scene, at, glow) {
  const pen = penOf(canvas, scene.place);
  if (!pen || at === null) return;
  const { steps } = scene.place;
  if (glow) {
    for (const hit of scene.hits) {
      const age = (at - hit[0] - hit[3] + steps) % steps;
      if (age < GLOW_STEPS) drawHit(pen, scene, hit, 1 - age / GLOW_STEPS);
    }
  }
  drawPlayhead(pen, scene, at);
}

// Where a hit is drawn: {x, y, width, height}.
export function boxOf({ place, tall }, [step, row, velocity, offset]) {
  const system = place.systemOf(step);
  const inset = Math.max(1, place.rowPx * 0.14);
  const full = place.rowPx - 2 * inset;
  const height = tall ? full * (0.3 + 0.7 * velocity) : full;
  return {
    x: place.x(step + offset, system),
    y: place.y(row, system) + place.rowPx - inset - height,
    width: Math.max(2, place.stepPx * HIT_STEPS),
    height,
  };
}

// The pen of an empty canvas, in CSS pixels; null while the canvas has no size.
function penOf(canvas, { width, height }) {
  if (!width || !height) return null;
  const ratio = window.devicePixelRatio || 1;
  const [deviceWidth, deviceHeight] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== deviceWidth) canvas.width = deviceWidth;
  if (canvas.height !== deviceHeight) canvas.height = deviceHeight;
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return pen;
}

function drawRows(pen, { place, labels, palette, silent }, system) {
  const [first, end] = place.stepsOf(system);
  const [left, right] = [place.x(first, system), place.x(end, system)];
  pen.font = `${Math.min(11, place.rowPx * 0.78)}px ${palette.font}`;
  pen.textBaseline = "middle";
  labels.forEach((label, row) => {
    const top = place.y(row, system);
    if (row % 2 === 0) {
      pen.fillStyle = palette.band;
      pen.fillRect(left, top, right - left, place.rowPx);
    }
    pen.globalAlpha = silent.has(row) ? 2 * SILENT_ALPHA : 1;
    pen.fillStyle = palette.text;
    pen.fillText(label, 0, top + place.rowPx / 2);
    if (silent.has(row)) {
      pen.fillRect(0, Math.round(top + place.rowPx / 2), pen.measureText(label).width, 1);
    }
    pen.globalAlpha = 1;
  });
}

function drawChosen(pen, { place, palette, bar }, system) {
  const step = bar * STEPS_PER_BAR;
  if (place.systemOf(step) !== system) return;
  const [left, right] = [place.x(step, system), place.x(step + STEPS_PER_BAR, system)];
  pen.fillStyle = palette.chosen;
  pen.fillRect(left, place.top(system), right - left, place.bottom(system) - place.top(system));
}

function drawGrid(pen, { place, palette }, system) {
  const [first, end] = place.stepsOf(system);
  const top = place.top(system);
  const height = place.bottom(system) - top;
  for (let step = first; step <= end; step += 1) {
    const isBar = step % STEPS_PER_BAR === 0;
    const isBeat = step % STEPS_PER_BEAT === 0;
    if (!isBeat && place.stepPx < FINEST_GRID_PX) continue;
    pen.fillStyle = isBar ? palette.bar : isBeat ? palette.beat : palette.step;
    pen.fillRect(Math.round(place.x(step, system)), top, 1, height);
  }
}

// A cell that differs is tinted, with the outline of the hit that is or was there.
function drawDifference(pen, scene, { step, row, other }) {
  const { place, palette } = scene;
  const system = place.systemOf(step);
  pen.fillStyle = palette.changed;
  pen.fillRect(place.x(step, system), place.y(row, system), place.stepPx, place.rowPx);
  if (!other) return;
  const { x, y, width, height } = boxOf(scene, other);
  pen.strokeStyle = palette.ghost;
  pen.lineWidth = 1;
  pen.beginPath();
  pen.roundRect(x + 0.5, y + 0.5, width - 1, height - 1, Math.min(3, width / 3));
  pen.stroke();
}

function drawHit(pen, scene, hit, lit) {
  const [, row, velocity] = hit;
  const { x, y, width, height } = boxOf(scene, hit);
  const grow = lit * 1.5;
  const isSilent = scene.silent.has(row);
  pen.globalAlpha = isSilent ? SILENT_ALPHA : Math.min(1, 0.16 + 0.84 * velocity + 0.5 * lit);
  pen.fillStyle = isSilent ? scene.palette.text : scene.palette.hits[row];
  pen.beginPath();
  pen.roundRect(x, y - grow, width + grow, height + 2 * grow, Math.min(3, width / 3));
  pen.fill();
  pen.globalAlpha = 1;
}

function drawPlayhead(pen, { place, palette }, at) {
  const system = place.systemOf(at);
  pen.fillStyle = palette.head;
  pen.fillRect(
    place.x(at, system) - 1,
    place.top(system),
    2,
    place.bottom(system) - place.top(system),
  );
}
