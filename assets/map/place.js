// Converts data coordinates of a Plotly chart to pixels of its element.

// Returns {box: {left, top, width, height}, at: (coordinates) => [x, y], key: a text that changes
// with the view}, or null while the chart is not drawn.
export function viewOf(chart) {
  const layout = chart?._fullLayout;
  if (layout?.scene?._scene) return sceneView(chart, layout.scene._scene);
  if (layout?.xaxis?._length) return planeView(layout.xaxis, layout.yaxis);
  return null;
}

// Returns [x0, x1, y0, y1] of a flat chart that does not show all; else null.
export function rangesOf(chart) {
  const { scene, xaxis, yaxis } = chart._fullLayout;
  if (scene || xaxis.autorange || yaxis.autorange) return null;
  return [...xaxis.range, ...yaxis.range];
}

// Points are identified by the first of their custom data; points without it are not grooves.
const idOf = (customdata) => (customdata === undefined ? null : [customdata].flat()[0]);

// Returns what an event of Plotly is about: {id, text: what is said of it, place: its coordinates}.
export function pointOf({ customdata, text, x, y, z }) {
  return { id: idOf(customdata), text, place: z === undefined ? [x, y] : [x, y, z] };
}

// Returns the points that can be clicked: {id, text: what is said of it, place: its coordinates, at:
// where that is in a view, [x, y]}.
export function pointsOf(chart, view) {
  const traces = chart._fullData.filter(({ visible, customdata }) => visible === true && customdata);
  return traces.flatMap(({ customdata, text, x, y, z }) =>
    Array.from(customdata, (data, index) => {
      const place = z ? [x[index], y[index], z[index]] : [x[index], y[index]];
      return { id: idOf(data), text: text?.[index] ?? "", place, at: view.at(place) };
    }),
  );
}

function planeView(xaxis, yaxis) {
  const box = {
    left: xaxis._offset,
    top: yaxis._offset,
    width: xaxis._length,
    height: yaxis._length,
  };
  const [x0, x1] = xaxis.range;
  const [y0, y1] = yaxis.range;
  const at = ([x, y]) => [
    ((x - x0) / (x1 - x0)) * box.width,
    (1 - (y - y0) / (y1 - y0)) * box.height,
  ];
  return { box, at, key: [x0, x1, y0, y1, ...Object.values(box)].join() };
}

function sceneView(chart, scene) {
  const camera = scene.glplot?.cameraParams;
  if (!camera) return null;
  const outer = chart.getBoundingClientRect();
  const inner = scene.container.getBoundingClientRect();
  const box = {
    left: inner.left - outer.left,
    top: inner.top - outer.top,
    width: inner.width,
    height: inner.height,
  };
  const at = (point) => {
    const scaled = [...point.map((value, axis) => value * scene.dataScale[axis]), 1];
    const [x, y, , w] = [camera.model, camera.view, camera.projection].reduce(times, scaled);
    return [((1 + x / w) / 2) * box.width, ((1 - y / w) / 2) * box.height];
  };
  const parts = [...camera.view, ...camera.projection, ...camera.model, ...Object.values(box)];
  return { box, at, key: parts.map((value) => value.toFixed(4)).join() };
}

// A vector times a column-major matrix.
function times([x, y, z, w], matrix) {
  return [0, 1, 2, 3].map(
    (row) => matrix[row] * x + matrix[4 + row] * y + matrix[8 + row] * z + matrix[12 + row] * w,
  );
}
