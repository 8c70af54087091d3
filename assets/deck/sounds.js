// Fetches and decodes the sounds of cards, each once, by address.

const WAV_RATE_AT = 24; // byte at which a WAV file states its sample rate

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

// Decodes at the rate of the data: at any other the browser would resample, and a loop
// would no longer be a whole number of samples.
async function decode(blob) {
  const bytes = await blob.arrayBuffer();
  const sampleRate = new DataView(bytes).getUint32(WAV_RATE_AT, true);
  const context = new OfflineAudioContext({ numberOfChannels: 2, length: 1, sampleRate });
  return context.decodeAudioData(bytes);
}

export class Sounds {
  #blobs = new Map();
  #buffers = new Map();

  // The WAV file at an address, as a Blob.
  blob(url) {
    return this.#once(this.#blobs, url, () => download(url));
  }

  // The same, decoded to an AudioBuffer.
  buffer(url) {
    return this.#once(this.#buffers, url, async () => decode(await this.blob(url)));
  }

  // Forgets what no card shows any more.
  keepOnly(urls) {
    for (const map of [this.#blobs, this.#buffers]) {
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
