// Where steps and rows lie: systems of up to four bars, one below the other.

import { STEPS_PER_BAR } from "./score.js";

const LABELS_PX = 46; // the column of voice names
const LEAD_IN_STEPS = 0.5; // room before the first beat for a hit played early
const LEAD_OUT_STEPS = 0.6; // room after the last step for a hit played late
const NUMBERS_PX = 20; // the row of bar numbers over a system
const GAP_PX = 8; // between systems
const BARS_A_SYSTEM = [4, 2, 1];
const LONGEST_LINE = 4; // bars

// Returns the places of `steps` steps and `rows` rows in CSS pixels; a system has as many bars as
// leave each step `leastStepPx`.
export function layOut(width, steps, rows, rowPx, leastStepPx) {
  const bars = steps / STEPS_PER_BAR;
  const stepPxOf = (n) =>
    (width - LABELS_PX) / (LEAD_IN_STEPS + n * STEPS_PER_BAR + LEAD_OUT_STEPS);
  const choices = [Math.min(bars, LONGEST_LINE), ...BARS_A_SYSTEM.filter((n) => n < bars)];
  const perSystem = choices.find((n) => stepPxOf(n) >= leastStepPx) ?? 1;
  const stepPx = stepPxOf(perSystem);
  const line = perSystem * STEPS_PER_BAR;
  const systems = Math.ceil(steps / line);
  const numbersPx = bars > 1 ? NUMBERS_PX : 0;
  const systemPx = numbersPx + rows * rowPx + GAP_PX;
  const lastSystem = systems - 1;
  return {
    width,
    steps,
    rows,
    stepPx,
    rowPx,
    line,
    systems,
    numbersPx,
    height: systems * systemPx - GAP_PX,
    systemOf: (step) => Math.min(Math.max(Math.floor(step / line), 0), lastSystem),
    stepsOf: (system) => [system * line, Math.min(steps, (system + 1) * line)],
    top: (system) => system * systemPx + numbersPx,
    bottom: (system) => system * systemPx + numbersPx + rows * rowPx,
    x: (step, system) => LABELS_PX + (step - system * line + LEAD_IN_STEPS) * stepPx,
    // The kick is at the bottom.
    y: (row, system) => system * systemPx + numbersPx + (rows - 1 - row) * rowPx,
    // What lies at a point: step is a fraction, row is whole; both may lie beside the grid.
    at(x, y) {
      const system = Math.min(Math.max(Math.floor(y / systemPx), 0), lastSystem);
      const step = (x - LABELS_PX) / stepPx - LEAD_IN_STEPS + system * line;
      const row = rows - 1 - Math.floor((y - system * systemPx - numbersPx) / rowPx);
      return { system, step, row, isLabel: x < LABELS_PX };
    },
  };
}
