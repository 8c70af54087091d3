// Fetches and decodes the sounds of cards, each once, by address.

const WAV_RATE_AT = 24; // byte at which a WAV file states its sample rate
const FLAC_MARK = 0x664c6143; // "fLaC"
const FLAC_RATE_AT = 18; // byte at which a FLAC file states it, in twenty bits
const WAV_HEADER_BYTES = 44;

// The server states addresses from the app's root; a page may sit below it, and the app
// below a proxy's folder, so the root is taken from where the front end itself came from.
function absolute(path) {
  const script = document.querySelector('script[type="module"][src*="static/js/"]');
  const root = script ? new URL("../../", script.src) : new URL("/", document.baseURI);
  return new URL(path.replace(/^\//, ""), root);
}

async function download(url) {
  const response = await fetch(absolute(url));
  if (!response.ok) throw new Error(`The server answered ${response.status}.`);
  return response.blob();
}

const isFlac = (view) => view.getUint32(0) === FLAC_MARK;

function rateOf(bytes) {
  const view = new DataView(bytes);
  return isFlac(view) ? view.getUint32(FLAC_RATE_AT) >>> 12 : view.getUint32(WAV_RATE_AT, true);
}

// Decodes at the rate of the data: at any other the browser would resample, and a loop
// would no longer be a whole number of samples.
async function decode(blob) {
  const bytes = await blob.arrayBuffer();
  const sampleRate = rateOf(bytes);
  const context = new OfflineAudioContext({ numberOfChannels: 2, length: 1, sampleRate });
  return context.decodeAudioData(bytes);
}

// Browsers disagree on whether sample 32767 is 1 or a little less: that which makes all samples
// whole numbers is the one of this browser.
function fullScaleOf(samples) {
  const rest = (scale) =>
    samples.reduce((sum, x) => sum + (x > 0 ? Math.abs(x * scale - Math.round(x * scale)) : 0), 0);
  return rest(32767) < rest(32768) ? 32767 : 32768;
}

// A 16-bit WAV file of a decoded sound: the very samples that were sent.
function writeWav(buffer) {
  const { numberOfChannels, sampleRate, length } = buffer;
  const frameBytes = 2 * numberOfChannels;
  const view = new DataView(new ArrayBuffer(WAV_HEADER_BYTES + length * frameBytes));
  const text = (at, letters) => [...letters].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, view.byteLength - 8, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, numberOfChannels, true);
  view.setUint32(WAV_RATE_AT, sampleRate, true);
  view.setUint32(28, sampleRate * frameBytes, true);
  view.setUint16(32, frameBytes, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, length * frameBytes, true);
  for (let channel = 0; channel < numberOfChannels; channel += 1) {
    const samples = buffer.getChannelData(channel);
    const fullScale = fullScaleOf(samples);
    samples.forEach((sample, frame) => {
      const value = Math.min(Math.round(sample * (sample > 0 ? fullScale : 32768)), 32767);
      view.setInt16(WAV_HEADER_BYTES + frame * frameBytes + 2 * channel, value, true);
    });
  }
  return new Blob([view.buffer], { type: "audio/wav" });
}

export class Sounds {
  #blobs = new Map(); // address → promise of the file
  #buffers = new Map(); // address → promise of the AudioBuffer
  #ready = new Map(); // address → AudioBuffer

  // The file at an address, as a Blob.
  blob(url) {
    return this.#once(this.#blobs, url, () => download(url));
  }

  // The same, decoded to an AudioBuffer.
  buffer(url) {
    return this.#once(this.#buffers, url, async () => {
      const buffer = await decode(await this.blob(url));
      if (this.#buffers.has(url)) this.#ready.set(url, buffer);
      return buffer;
    });
  }

  // The AudioBuffer, if it is decoded by now.
  ready(url) {
    return this.#ready.get(url) ?? null;
  }

  // The sound as a WAV file, whatever it came as.
  async wav(url) {
    const blob = await this.blob(url);
    const head = new DataView(await blob.slice(0, 4).arrayBuffer());
    return isFlac(head) ? writeWav(await this.buffer(url)) : blob;
  }

  // How many of each are in memory.
  get held() {
    return { files: this.#blobs.size, buffers: this.#ready.size };
  }

  // Frees what was decoded; the file stays.
  release(url) {
    this.#buffers.delete(url);
    this.#ready.delete(url);
  }

  // Forgets what no card shows any more.
  keepOnly(urls) {
    for (const map of [this.#blobs, this.#buffers, this.#ready]) {
      for (const url of map.keys()) if (!urls.has(url)) map.delete(url);
    }
  }

  // A failure is forgotten, so that the next click tries again.
  #once(map, url, make) {
    if (!map.has(url)) {
      const promise = make();
      map.set(url, promise);
      promise.catch(() => map.get(url) === promise && map.delete(url));
    }
    return map.get(url);
  }
}
