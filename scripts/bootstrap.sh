#!/usr/bin/env bash
# Prepare a checkout: a virtual environment in .venv, system packages, Python packages.
#
#   scripts/bootstrap.sh app      what `make run` needs
#   scripts/bootstrap.sh dev      what `make test` and `make lint` need, the app's included
#   scripts/bootstrap.sh lowest   the oldest versions that the requirements allow, in .venv-lowest
#
# PYTHON=/path/to/python3   use this interpreter instead of the newest suitable one
# BOOTSTRAP_DRY_RUN=1       print the steps and take none
#
# What is in place is left alone, so a second start installs nothing and needs no
# network. Without root, system packages need sudo; without them the app has no sound
# but starts. Runs on bash 3.2, which is what macOS has.
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1:-} in
lowest) VENV=.venv-lowest ;;
*) VENV=.venv ;;
esac
VENV_PYTHON=$VENV/bin/python
ASKED_FOR_ROOT=$VENV/.asked-for-root # a person is asked for a password once, not at every start

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "$*"
    exit 1
}

is_dry_run() { [ -n "${BOOTSTRAP_DRY_RUN:-}" ]; }

# Print a command and run it. Nothing but `step` and `record` changes the machine.
step() {
    say "+ $*"
    is_dry_run || "$@"
}

# Write a note to a file of .venv, for the next start.
record() { is_dry_run || printf '%s\n' "$2" >"$1"; }

has() { command -v "$1" >/dev/null 2>&1; }

# --- Python -----------------------------------------------------------------------

# Run rather than look up: a version manager's shim may be on PATH and lead nowhere.
is_supported() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

can_make_venv() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# Print the newest supported Python, one that can make a venv before one that cannot.
choose_python() {
    local candidate without_venv=""
    set -- python3.13 python3.12 python3.11 python3
    if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; fi
    for candidate in "$@"; do
        if ! is_supported "$candidate"; then continue; fi
        if can_make_venv "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
        without_venv=${without_venv:-$candidate}
    done
    [ -n "$without_venv" ] || fail "Python 3.11, 3.12 or 3.13 is needed and ${PYTHON:-python3} is" \
        "$("${PYTHON:-python3}" --version 2>/dev/null || echo missing): install one of them and start again."
    printf '%s\n' "$without_venv"
}

venv_is_sound() {
    is_supported "$VENV_PYTHON" && "$VENV_PYTHON" -c 'import pip' >/dev/null 2>&1
}

ensure_venv() {
    if venv_is_sound; then return; fi
    local python venv_package
    python=$(choose_python)
    if ! can_make_venv "$python"; then # Debian packs this part of Python apart
        venv_package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
        apt_install "$venv_package" || fail "$python cannot make a virtual environment:" \
            "install $venv_package and start again."
    fi
    step "$python" -m venv --clear "$VENV"
}

# The stamp holds the very text of the files that were installed; a failed install has none.
install_python_packages() {
    local stamp=$VENV/.installed-$1 requirements=$2 constraints=$3 wanted
    wanted=$(cat requirements.txt "$constraints" "$requirements")
    if [ "$wanted" = "$(cat "$stamp" 2>/dev/null || true)" ]; then return; fi
    record "$stamp" ""
    step "$VENV_PYTHON" -m pip install --disable-pip-version-check -r "$requirements" -c "$constraints" ||
        fail "The Python packages could not be installed: check the network and start again."
    record "$stamp" "$wanted"
}

# Print a constraint for each package: the lowest version that the requirements allow, or the
# tested one of a package that they do not name. Each pydantic has a pydantic-core of its own.
lowest_versions() {
    awk -F '>=|==|,' '
        /^[A-Za-z]/ {
            name = tolower($1)
            gsub(/[-_.]+/, "-", name)
            if (!(name in seen) && name != "pydantic-core") { seen[name]; print name "==" $2 }
        }' requirements.txt requirements-dev.txt constraints.txt
}

# --- System packages --------------------------------------------------------------

is_root() { [ "$(id -u)" -eq 0 ]; }

has_sudo_without_password() { has sudo && sudo -n true 2>/dev/null; }

may_ask_for_password() { has sudo && [ -t 0 ] && [ ! -e "$ASKED_FOR_ROOT" ]; }

apt_get() {
    # Timeouts and the lock: no network must not hang a start, and a fresh Ubuntu updates itself.
    set -- env DEBIAN_FRONTEND=noninteractive apt-get \
        -o APT::Get::Assume-Yes=true -o APT::Install-Recommends=false -o Acquire::Retries=1 \
        -o Acquire::http::Timeout=20 -o DPkg::Lock::Timeout=120 "$@"
    if is_root; then step "$@"; else step sudo "$@"; fi
}

# Install Debian packages; false where that is not possible. Old package lists are renewed once.
apt_install() {
    has apt-get || return 1
    if ! is_root && ! has_sudo_without_password; then
        may_ask_for_password || return 1
        if [ -d "$VENV" ]; then record "$ASKED_FOR_ROOT" yes; fi
        step sudo -v || return 1
    fi
    apt_get install "$@" || { apt_get update && apt_get install "$@"; }
}

# Print those of the Debian packages that are not installed, on one line.
missing_debian_packages() {
    local package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || printf '%s ' "$package"
    done
}

has_fluidsynth() { "$VENV_PYTHON" -c 'import ctypes.util, sys; sys.exit(not ctypes.util.find_library("fluidsynth"))'; }

# Sound is not worth a failed start: whatever goes wrong here ends in a sentence.
ensure_sound() {
    local wanted missing remedy="install FluidSynth 2 or newer and a General MIDI SoundFont"
    if has apt-get; then
        wanted=$(tr '\n' ' ' <packages.txt)
        # shellcheck disable=SC2086 # one word a package
        missing=$(missing_debian_packages $wanted)
        remedy="sudo apt-get install $wanted"
        # shellcheck disable=SC2086
        if [ -z "$missing" ] || apt_install $missing; then return; fi
    elif [ "$(uname -s)" = Darwin ] && has brew; then
        remedy="brew install fluid-synth"
        if brew list fluid-synth >/dev/null 2>&1 || step brew install fluid-synth; then return; fi
    elif has_fluidsynth; then
        return
    fi
    say "The app starts without sound. To hear it: $remedy."
}

# --- Browsers for the tests -------------------------------------------------------

# Run rather than look up: Ubuntu's chromium asks for a snap and does nothing more.
runs() { "$1" --version >/dev/null 2>&1; }

has_browser() { [ -e "$VENV/.installed-browser" ] || runs chromium || runs google-chrome; }

ensure_browser() {
    if has_browser; then return; fi
    if apt_install chromium && { is_dry_run || has_browser; }; then return; fi
    set -- install chromium
    if apt_install libatomic1; then set -- "$@" --with-deps; fi # the driver's node needs it
    if step "$VENV_PYTHON" -m playwright "$@"; then
        record "$VENV/.installed-browser" playwright
    else
        say "The browser tests will be skipped. To run them: install Chromium."
    fi
}

# Tried once: all but one test do without it.
ensure_firefox() {
    if [ -e "$VENV/.tried-firefox" ] || runs firefox-esr || runs firefox; then return; fi
    record "$VENV/.tried-firefox" yes
    apt_install firefox-esr || say "The test in Firefox will be skipped. To run it: install Firefox."
}

case ${1:-} in
app)
    ensure_venv
    ensure_sound
    install_python_packages app requirements.txt constraints.txt
    ;;
dev)
    ensure_venv
    ensure_sound
    install_python_packages dev requirements-dev.txt constraints.txt
    ensure_firefox
    ensure_browser
    ;;
lowest)
    ensure_venv
    is_dry_run || lowest_versions >"$VENV/lowest.txt"
    install_python_packages lowest requirements-dev.txt "$VENV/lowest.txt"
    ;;
*) fail "usage: scripts/bootstrap.sh app|dev|lowest" ;;
esac
