// Draws one groove on two canvases: the static part, and over it what moves during playback.
//
// A scene is {place (see layout.js), hits: marks, rows (see score.js), palette, silent: channels
// that are not heard, bar: the one that loops alone or null, differing: see `differences`, tall:
// whether a hit is as high as it is loud}.

const HIT_STEPS = 0.62; // drawn length of a hit; the left edge is where it sounds
const GLOW_BEATS = 0.5; // how long a hit stays lit after the playhead has passed it
const N_COLOURS = 13; // for the nine drums and four lines
const NOTE_GAP_PX = 1.5; // between a note and the next
const PITCH_LABEL_PX = 9;
const SILENT_ALPHA = 0.22;
const FINEST_GRID_PX = 4; // below this, only beats have lines

// Colours come from the style sheet, so that the theme is defined in one place.
export function readPalette(source) {
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
    hits: Array.from({ length: N_COLOURS }, (_, at) => colour(`--deck-voice-${at}`)),
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
  const { steps, grid } = scene.place;
  if (glow) {
    for (const hit of scene.hits) {
      const age = (at - hit[0] - hit[3] + steps) % steps;
      const glowSteps = hit[4] ?? GLOW_BEATS * grid.steps_per_beat; // a note is lit as long as it sounds
      if (age < glowSteps) drawHit(pen, scene, hit, hit[4] ? 0.6 : 1 - age / glowSteps);
    }
  }
  drawPlayhead(pen, scene, at);
}

// Where a mark is drawn, or where a note begins: {x, y, width, height}.
export function boxOf(scene, mark) {
  return boxesOf(scene, mark)[0];
}

// All boxes of a mark: a note held into another system has a box in each.
function boxesOf(scene, mark) {
  return mark[4] === undefined ? [boxOfHit(scene, mark)] : boxesOfNote(scene.place, mark);
}

function boxOfHit({ place, tall }, [step, row, velocity, offset]) {
  const system = place.systemOf(step);
  const rowPx = place.rowPx(row);
  const inset = Math.max(1, rowPx * 0.14);
  const full = rowPx - 2 * inset;
  const height = tall ? full * (0.3 + 0.7 * velocity) : full;
  return {
    x: place.x(step + offset, system),
    y: place.y(row, system) + rowPx - inset - height,
    width: Math.max(2, place.stepPx * HIT_STEPS),
    height,
  };
}

function boxesOfNote(place, [step, row, , , steps]) {
  const boxes = [];
  const end = step + steps;
  for (let from = step; from < end; ) {
    const system = place.systemOf(from);
    const to = Math.min(end, place.stepsOf(system)[1]);
    const x = place.x(from, system);
    const width = Math.max(2, place.x(to, system) - x - (to === end ? NOTE_GAP_PX : 0));
    boxes.push({ x, y: place.y(row, system) + 0.5, width, height: place.rowPx(row) - 1 });
    if (to <= from) break;
    from = to;
  }
  return boxes;
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

function drawRows(pen, { place, rows, palette, silent }, system) {
  const [first, end] = place.stepsOf(system);
  const [left, right] = [place.x(first, system), place.x(end, system)];
  const hasParts = new Set(rows.map(({ name }) => name)).size > 1;
  pen.textBaseline = "middle";
  rows.forEach((row, index) => {
    const [top, rowPx] = [place.y(index, system), place.rowPx(index)];
    pen.fillStyle = palette.band;
    if (row.isBand) pen.fillRect(left, top, right - left, rowPx);
    if (row.isTonic) pen.fillRect(left, top, right - left, rowPx);
    if (row.isTop && hasParts) pen.fillRect(left, top, right - left, 1);
    const label = labelOf(row, hasParts);
    if (!label || !place.labelsPx) return;
    pen.font = `${row.isPitch ? PITCH_LABEL_PX : Math.min(11, rowPx * 0.78)}px ${palette.font}`;
    const middle = Math.max(top + rowPx / 2, PITCH_LABEL_PX / 2);
    pen.globalAlpha = silent.has(row.channel) ? 2 * SILENT_ALPHA : 1;
    pen.fillStyle = palette.text;
    pen.fillText(label, 0, middle);
    if (silent.has(row.channel)) pen.fillRect(0, Math.round(middle), pen.measureText(label).width, 1);
    pen.globalAlpha = 1;
  });
}

// Labels the tonics of a line and, if there are several parts, the line itself on its top row.
function labelOf({ isPitch, isTonic, isTop, label, name }, hasParts) {
  if (!isPitch) return label;
  if (isTop && hasParts) return name;
  return isTonic ? label : "";
}

function drawChosen(pen, { place, palette, bar }, system) {
  const stepsPerBar = place.grid.steps_per_bar;
  const step = bar * stepsPerBar;
  if (place.systemOf(step) !== system) return;
  const [left, right] = [place.x(step, system), place.x(step + stepsPerBar, system)];
  pen.fillStyle = palette.chosen;
  pen.fillRect(left, place.top(system), right - left, place.bottom(system) - place.top(system));
}

function drawGrid(pen, { place, palette }, system) {
  const { steps_per_bar: stepsPerBar, steps_per_beat: stepsPerBeat } = place.grid;
  const [first, end] = place.stepsOf(system);
  const top = place.top(system);
  const height = place.bottom(system) - top;
  for (let step = first; step <= end; step += 1) {
    const isBar = step % stepsPerBar === 0;
    const isBeat = step % stepsPerBeat === 0;
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
  pen.fillRect(place.x(step, system), place.y(row, system), place.stepPx, place.rowPx(row));
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
  const { channel } = scene.rows[row];
  const grow = lit * 1.5;
  const isSilent = scene.silent.has(channel);
  pen.globalAlpha = isSilent ? SILENT_ALPHA : Math.min(1, 0.16 + 0.84 * velocity + 0.5 * lit);
  pen.fillStyle = isSilent ? scene.palette.text : scene.palette.hits[channel];
  for (const { x, y, width, height } of boxesOf(scene, hit)) {
    pen.beginPath();
    pen.roundRect(x, y - grow, width + grow, height + 2 * grow, Math.min(3, width / 3));
    pen.fill();
  }
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
