import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["static/", "node_modules/"] },
  js.configs.recommended,
  {
    files: ["assets/**/*.js"],
    languageOptions: { globals: globals.browser },
  },
  {
    files: ["assets/**/*.test.js", "scripts/*.mjs", "eslint.config.js"],
    languageOptions: { globals: globals.node },
  },
];
