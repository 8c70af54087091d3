// The layout of steps and rows: systems of up to four bars, one below the other.

const LABELS_PX = 46; // the column of voice names
const LEAD_IN_STEPS = 0.5; // room before the first beat for a hit played early
const LEAD_OUT_STEPS = 0.6; // room after the last step for a hit played late
const NUMBERS_PX = 20; // the row of bar numbers above a system
const GAP_PX = 8; // between systems
const BARS_A_SYSTEM = [4, 2, 1];
const LONGEST_LINE = 4; // bars

// Returns the places of `steps` steps on a grid and of rows, whose heights are given from the bottom up, in
// CSS pixels; a system has as many bars as leave each step `leastStepPx`. A small picture has neither
// names nor numbers, and one system.
export function layOut(width, steps, grid, heights, { leastStepPx, isSmall = false }) {
  const stepsPerBar = grid.steps_per_bar;
  const bars = steps / stepsPerBar;
  const labelsPx = isSmall ? 0 : LABELS_PX;
  const stepPxOf = (n) =>
    (width - labelsPx) / (LEAD_IN_STEPS + n * stepsPerBar + LEAD_OUT_STEPS);
  const longest = isSmall ? bars : LONGEST_LINE;
  const choices = [Math.min(bars, longest), ...BARS_A_SYSTEM.filter((n) => n < bars)];
  const perSystem = choices.find((n) => stepPxOf(n) >= leastStepPx) ?? 1;
  const stepPx = stepPxOf(perSystem);
  const line = perSystem * stepsPerBar;
  const systems = Math.ceil(steps / line);
  const numbersPx = bars > 1 && !isSmall ? NUMBERS_PX : 0;
  const tops = topsOf(heights); // of the rows, from the top of their system
  const rowsPx = heights.reduce((sum, height) => sum + height, 0);
  const systemPx = numbersPx + rowsPx + GAP_PX;
  const lastSystem = systems - 1;
  return {
    width,
    labelsPx,
    steps,
    grid,
    stepPx,
    line,
    systems,
    numbersPx,
    height: systems * systemPx - GAP_PX,
    systemOf: (step) => Math.min(Math.max(Math.floor(step / line), 0), lastSystem),
    stepsOf: (system) => [system * line, Math.min(steps, (system + 1) * line)],
    top: (system) => system * systemPx + numbersPx,
    bottom: (system) => system * systemPx + numbersPx + rowsPx,
    x: (step, system) => labelsPx + (step - system * line + LEAD_IN_STEPS) * stepPx,
    y: (row, system) => system * systemPx + numbersPx + tops[row],
    rowPx: (row) => heights[row],
    // What is at a point: step is fractional, row is whole; both may be outside the grid.
    at(x, y) {
      const system = Math.min(Math.max(Math.floor(y / systemPx), 0), lastSystem);
      const step = (x - labelsPx) / stepPx - LEAD_IN_STEPS + system * line;
      const down = y - system * systemPx - numbersPx;
      const row = down < 0 ? heights.length : tops.findIndex((top) => top <= down && down < rowsPx);
      return { system, step, row, isLabel: x < labelsPx };
    },
  };
}

function topsOf(heights) {
  const tops = [];
  let top = 0;
  for (let row = heights.length - 1; row >= 0; row -= 1) {
    tops[row] = top;
    top += heights[row];
  }
  return tops;
}
