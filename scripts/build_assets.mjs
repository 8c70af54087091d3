// Bundles what each component of a page loads, its script and its styles, into static/<name>.js. The
// app runs the bundles; `make lint` proves that they are those of the sources.

import { readFile } from "node:fs/promises";
import { build, transform } from "esbuild";

const OUT = process.argv[2] ?? "static"; // Streamlit serves the folder of this name beside app.py
const SCRIPTS = {
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
const STYLES = {
  copy: ["copy/copy.css"],
  // In the order in which they overrule each other.
  deck: ["cards", "stage", "buttons", "morph", "sizes"].map((name) => `deck/${name}.css`),
  drop: ["drop/drop.css"],
  map: ["map/overlay.css"],
  sliders: ["attributes/sliders.css"],
  taps: ["taps/taps.css"],
  transport: ["player/transport.css"],
};

// Style sheets are imported as minified text.
const cssAsText = {
  name: "css-as-text",
  setup({ onLoad }) {
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { code } = await transform(await readFile(path, "utf8"), { loader: "css", minify: true });
      return { contents: code.trim(), loader: "text" };
    });
  },
};

function entryOf(name) {
  const styles = STYLES[name] ?? [];
  if (!styles.length) return `export { default } from "./${SCRIPTS[name]}";`;
  return [
    `import mount from "./${SCRIPTS[name]}";`,
    `import { styled } from "./styled.js";`,
    ...styles.map((path, at) => `import css${at} from "./${path}";`),
    `export default styled(mount, [${styles.map((_, at) => `css${at}`)}].join("\\n"));`,
  ].join("\n");
}

for (const name of Object.keys(SCRIPTS)) {
  await build({
    stdin: { contents: entryOf(name), resolveDir: "assets", sourcefile: `${name}.js` },
    outfile: `${OUT}/${name}.js`,
    plugins: [cssAsText],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    charset: "utf8",
    legalComments: "none",
    banner: { js: "// Built by `make assets`: change the sources, not this file." },
  });
}
