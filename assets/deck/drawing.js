// Draws one groove on a canvas: a row a voice, a column a step.

const LABELS_PX = 46; // the column of voice names
const LEAD_IN_STEPS = 0.5; // room before the first beat for a hit played early
const LEAD_OUT_STEPS = 0.6; // room after the last step for a hit played late
const HIT_STEPS = 0.62; // drawn length of a hit; the left edge is where it sounds
const GLOW_STEPS = 2; // how long a hit stays lit after the playhead has passed it
const STEPS_PER_BEAT = 4;
const STEPS_PER_BAR = 16;

// Returns the functions that place steps and rows on a canvas of that size (CSS pixels).
export function layOut(width, height, steps, rows) {
  const stepPx = (width - LABELS_PX) / (LEAD_IN_STEPS + steps + LEAD_OUT_STEPS);
  const rowPx = height / rows;
  return {
    stepPx,
    rowPx,
    x: (step) => LABELS_PX + (step + LEAD_IN_STEPS) * stepPx,
    y: (row) => height - (row + 1) * rowPx, // the kick is at the bottom
    stepAt: (x) => (x - LABELS_PX) / stepPx - LEAD_IN_STEPS,
  };
}

// Colours come from the style sheet, so that the theme has one home.
export function readPalette(element, rows) {
  const style = getComputedStyle(element);
  const colour = (name) => style.getPropertyValue(name).trim();
  return {
    text: colour("--deck-label"),
    step: colour("--deck-step"),
    beat: colour("--deck-beat"),
    bar: colour("--deck-bar"),
    band: colour("--deck-band"),
    head: colour("--deck-head"),
    font: style.fontFamily,
    hits: Array.from({ length: rows }, (_, row) => colour(`--deck-voice-${row}`)),
  };
}

// groove: {steps, hits: [[step, row, velocity, offset], …]}; at: playhead in steps, or null.
export function drawGroove(canvas, groove, labels, palette, at, glow) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return;
  const [deviceWidth, deviceHeight] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== deviceWidth) canvas.width = deviceWidth;
  if (canvas.height !== deviceHeight) canvas.height = deviceHeight;
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const place = layOut(width, height, groove.steps, labels.length);
  drawRows(pen, place, groove.steps, labels, palette);
  drawGrid(pen, place, groove.steps, height, palette);
  for (const hit of groove.hits) drawHit(pen, place, groove.steps, hit, palette, at, glow);
  if (at !== null) drawPlayhead(pen, place, at, height, palette);
}

function drawRows(pen, place, steps, labels, palette) {
  pen.font = `${Math.min(11, place.rowPx * 0.78)}px ${palette.font}`;
  pen.textBaseline = "middle";
  labels.forEach((label, row) => {
    const top = place.y(row);
    if (row % 2 === 0) {
      pen.fillStyle = palette.band;
      pen.fillRect(place.x(0), top, place.x(steps) - place.x(0), place.rowPx);
    }
    pen.fillStyle = palette.text;
    pen.fillText(label, 0, top + place.rowPx / 2);
  });
}

function drawGrid(pen, place, steps, height, palette) {
  for (let step = 0; step <= steps; step += 1) {
    const isBar = step % STEPS_PER_BAR === 0;
    const isBeat = step % STEPS_PER_BEAT === 0;
    if (!isBeat && place.stepPx < 4) continue; // a long form shows beats alone
    pen.fillStyle = isBar ? palette.bar : isBeat ? palette.beat : palette.step;
    pen.fillRect(Math.round(place.x(step)), 0, 1, height);
  }
}

function drawHit(pen, place, steps, [step, row, velocity, offset], palette, at, glow) {
  const played = step + offset;
  const age = at === null ? Infinity : (at - played + steps) % steps;
  const lit = glow && age < GLOW_STEPS ? 1 - age / GLOW_STEPS : 0;
  const grow = lit * 1.5;
  const inset = Math.max(1, place.rowPx * 0.14);
  const width = Math.max(2, place.stepPx * HIT_STEPS);
  pen.globalAlpha = Math.min(1, 0.16 + 0.84 * velocity + 0.5 * lit);
  pen.fillStyle = palette.hits[row];
  pen.beginPath();
  pen.roundRect(
    place.x(played),
    place.y(row) + inset - grow,
    width + grow,
    place.rowPx - 2 * inset + 2 * grow,
    Math.min(3, width / 3),
  );
  pen.fill();
  pen.globalAlpha = 1;
}

function drawPlayhead(pen, place, at, height, palette) {
  pen.fillStyle = palette.head;
  pen.fillRect(place.x(at) - 1, 0, 2, height);
}
