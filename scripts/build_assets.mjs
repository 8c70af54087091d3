// Bundles what each component of a page loads: assets/<name>/<entry> to assets/build/<name>.js and,
// where it has styles, to <name>.css. The app runs the bundles; `make lint` proves that they are
// those of the sources.

import { build } from "esbuild";

const ENTRIES = {
  cookie: "cookie/cookie.js",
  copy: "copy/copy.js",
  deck: "deck/deck.js",
  drop: "drop/drop.js",
  map: "map/overlay.js",
  pack: "player/pack.js",
  reload: "reload/reload.js",
  sliders: "attributes/sliders.js",
  taps: "taps/taps.js",
  transport: "player/transport.js",
};

await build({
  entryPoints: Object.entries(ENTRIES).map(([out, entry]) => ({ in: `assets/${entry}`, out })),
  outdir: process.argv[2] ?? "assets/build",
  bundle: true,
  minify: true, // Streamlit sends a bundle anew with every run of a page
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  banner: { js: "// Built by `make assets`: change the sources, not this file." },
});
