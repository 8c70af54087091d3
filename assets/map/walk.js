// Where the arrow keys go on a map.

const DIRECTIONS = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};
const ASIDE = 2; // how much more a pixel to the side counts than one ahead

const LAST = 1e6; // added for points more to the side than ahead: chosen only if there is nothing else

// Returns the nearest point, {at: [x, y]}, in the direction of an arrow key and at least a number of
// pixels away; null for other keys, or if there is none.
export function nextPoint(points, from, key, leastPx) {
  const direction = DIRECTIONS[key];
  if (!direction) return null;
  let [found, least] = [null, Infinity];
  for (const point of points) {
    const distance = distanceAlong(direction, from, point.at, leastPx);
    if (distance < least) [found, least] = [point, distance];
  }
  return found;
}

function distanceAlong([right, down], [fromX, fromY], [x, y], leastPx) {
  const ahead = (x - fromX) * right + (y - fromY) * down;
  const aside = Math.abs((x - fromX) * down) + Math.abs((y - fromY) * right);
  if (ahead < leastPx) return Infinity;
  return Math.hypot(ahead, ASIDE * aside) + (aside > ahead ? LAST : 0);
}
