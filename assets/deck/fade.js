// Crossfades of equal power between two loops that may be alike.

const POINTS = 33;

// How alike two stretches of sound are: their correlation, 0 to 1. Frames run round the loops.
export function likeness(some, someFrame, other, otherFrame, frames) {
  const [a, b] = [some.getChannelData(0), other.getChannelData(0)];
  let [both, ofSome, ofOther] = [0, 0, 0];
  for (let frame = 0; frame < frames; frame += 1) {
    const x = a[(someFrame + frame) % a.length];
    const y = b[(otherFrame + frame) % b.length];
    both += x * y;
    ofSome += x * x;
    ofOther += y * y;
  }
  const scale = Math.sqrt(ofSome * ofOther);
  return scale > 0 ? Math.min(Math.max(both / scale, 0), 1) : 0;
}

// The gains of the sound that comes and of the one that goes. For sounds of correlation r the
// power of their sum is kept when both gains are divided by sqrt(1 + r sin 2t): unlike sounds
// fade as sine and cosine, and a sound fades into itself unheard.
export function crossfade(correlation) {
  const rise = new Float32Array(POINTS);
  const fall = new Float32Array(POINTS);
  for (let point = 0; point < POINTS; point += 1) {
    const angle = ((point / (POINTS - 1)) * Math.PI) / 2;
    const scale = Math.sqrt(1 + correlation * Math.sin(2 * angle));
    rise[point] = Math.sin(angle) / scale;
    fall[point] = Math.cos(angle) / scale;
  }
  [fall[POINTS - 1], rise[0]] = [0, 0];
  return { rise, fall };
}
