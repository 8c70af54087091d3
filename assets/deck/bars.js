// One bar of a loop as a loop of its own.

const SEAM_SECONDS = 0.01;
const HALF_STEP_OF_BAR = 32;

// The bar's hits may be played up to half a step early, so its sound is taken from there on; the
// last half step then comes from before the bar. Bars count from 0.
export function barOf(buffer, bar, bars) {
  const total = buffer.length;
  const first = Math.round((bar * total) / bars);
  const length = Math.round(((bar + 1) * total) / bars) - first;
  const seam = length - Math.round(length / HALF_STEP_OF_BAR);
  const fade = Math.min(Math.round(SEAM_SECONDS * buffer.sampleRate), seam);
  const { numberOfChannels, sampleRate } = buffer;
  const made = new AudioBuffer({ length, numberOfChannels, sampleRate });
  for (let channel = 0; channel < numberOfChannels; channel += 1) {
    const from = buffer.getChannelData(channel);
    const to = made.getChannelData(channel);
    to.set(from.subarray(first, first + length));
    for (let frame = seam - fade; frame < length; frame += 1) {
      const earlier = from[(first + frame - length + total) % total];
      const share = Math.min((frame - seam + fade) / fade, 1);
      to[frame] += share * (earlier - to[frame]);
    }
  }
  return made;
}
