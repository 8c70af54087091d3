// Clicks on the points of a Plotly chart.

const STILL = 5; // pixels that the pointer may move while it is down: more is a drag

// Calls back with every point that is clicked, as Plotly gives it.
//
// In a space Plotly takes for a click what a frame finds under a pointer that is down. A tap
// passes between two frames, so there a click is heard here, and a frame is waited for.
export function hearClicks(chart, onClick) {
  let under = null; // the point under the pointer
  let down = null; // where the pointer went down
  const scene = () => chart._fullLayout.scene?._scene;

  chart.on("plotly_hover", ({ points }) => (under = points[0]));
  chart.on("plotly_unhover", () => (under = null));
  chart.on("plotly_click", ({ points }) => {
    under = points[0];
    if (!scene()) onClick(under);
  });

  chart.addEventListener("pointerdown", ({ clientX, clientY }) => (down = [clientX, clientY]), true);
  chart.addEventListener("pointerup", listen, true);

  async function listen({ target, clientX, clientY }) {
    const isClick = down && Math.hypot(clientX - down[0], clientY - down[1]) < STILL;
    down = null;
    if (!isClick || !scene()?.container.contains(target)) return;
    await frame();
    await frame();
    if (under) onClick(under);
  }
}

function frame() {
  return new Promise(requestAnimationFrame);
}
