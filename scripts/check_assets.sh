#!/usr/bin/env bash
# Where Node is there: lint the browser's side and check its types, test what it computes, and
# prove that the bundles in static/ are those of the sources.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! npm --version >/dev/null 2>&1; then
    echo "The browser's side is not checked: install Node and npm for that." >&2
    exit 0
fi
npm ls --silent >/dev/null 2>&1 || npm ci --no-audit --no-fund --silent
npm run --silent lint
npm test --silent
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
node scripts/build_assets.mjs "$built"
diff -r "$built" static >/dev/null || {
    echo "static/ is not what the sources make: run make assets." >&2
    exit 1
}
