// Clicks on the points of a Plotly chart.
//
// Plotly reports the point that was under the pointer when it last checked. In 2D that can be the
// previous point, and in 3D nothing, since a tap falls between two of its frames. So clicks are
// handled here: in 2D by finding the nearest point, in 3D by waiting for a frame.

import { pointOf, pointsOf, viewOf } from "./place.js";

const STILL = 5; // pixels that the pointer may move while down; more is a drag
const REACH = 20; // pixels from a point within which a click selects it, as for Plotly's labels

// Calls back for every click on a chart: with the point, see `pointOf`, or null for none.
export function listenForClicks(chart, onClick) {
  let under = null; // the point under the pointer, in 3D
  let down = null; // where the pointer went down
  const scene = () => chart._fullLayout.scene?._scene;

  const look = ({ points: [point] }) => (under = pointOf(point));
  chart.on("plotly_hover", look);
  chart.on("plotly_click", look);
  chart.on("plotly_unhover", () => (under = null));

  chart.addEventListener("pointerdown", start, true);
  document.addEventListener("pointermove", drag, true); // Plotly covers the page during a drag
  document.addEventListener("pointerup", listen, true);
  chart.addEventListener("touchstart", leaveToPage, { capture: true, passive: true });

  function start({ target, clientX, clientY, isPrimary, button }) {
    const isPlot = target.closest(".nsewdrag") || scene()?.container.contains(target);
    down = isPlot && isPrimary && button === 0 ? [clientX, clientY] : null;
  }

  // A lasso may end where it began: a pointer that has moved meanwhile is not a click.
  function drag({ clientX, clientY }) {
    if (down && Math.hypot(clientX - down[0], clientY - down[1]) >= STILL) down = null;
  }

  async function listen({ clientX, clientY }) {
    if (!chart.isConnected) {
      document.removeEventListener("pointermove", drag, true);
      document.removeEventListener("pointerup", listen, true);
    }
    const isClick = down !== null;
    down = null;
    if (!isClick) return;
    if (!scene()) return onClick(nearest(chart, clientX, clientY));
    await frame();
    await frame();
    onClick(under);
  }
}

// One finger scrolls the page, which Plotly would move the map with; two are its own, and so is
// one that draws a lasso or a box.
function leaveToPage(event) {
  const { dragmode, scene } = event.currentTarget._fullLayout;
  const isDrawing = !scene && dragmode !== "pan";
  if (event.touches.length === 1 && !isDrawing) event.stopPropagation();
}

// Returns the point of a flat chart that is nearest to a place on the page, if within reach.
function nearest(chart, clientX, clientY) {
  const view = viewOf(chart);
  const { left, top } = chart.getBoundingClientRect();
  const [x, y] = [clientX - left - view.box.left, clientY - top - view.box.top];
  let found = null;
  let least = REACH;
  for (const point of pointsOf(chart, view)) {
    const distance = Math.hypot(point.at[0] - x, point.at[1] - y);
    if (distance >= least) continue;
    least = distance;
    found = point;
  }
  return found;
}

function frame() {
  return new Promise(requestAnimationFrame);
}
