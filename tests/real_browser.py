"""What tests in a real Chromium share: servers, the browser, the deck's state, recordings."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path

import numpy as np
import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
Browser, Page = playwright.Browser, playwright.Page
ElementHandle, Locator = playwright.ElementHandle, playwright.Locator

ROOT = Path(__file__).parents[1]
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
APPS = {
    "actions": ROOT / "tests" / "actions_app.py",
    "fake": ROOT / "tests" / "fake_app.py",
    "deck": ROOT / "tests" / "fake_deck_app.py",
    "slow": ROOT / "tests" / "slow_app.py",
    "player": ROOT / "tests" / "fake_player_app.py",
    "real": ROOT / "app.py",
}
PATIENCE_MS = 180_000
SLACK = 5.0
"""The bounds are for two quiet cores: see `allowed`."""
MAX_RECORDINGS = 10
MAX_STALL_SECONDS = 0.35
"""The player schedules 0.4 s ahead, every 25 ms."""

_START_RECORDING = """
async (root) => {
    const { analyser } = root.deck;
    const { context } = analyser;
    const code = `registerProcessor("recording", class extends AudioWorkletProcessor {
        process([input]) {
            this.port.postMessage([currentFrame, input[0]?.slice() ?? new Float32Array(128)]);
            return true;
        }
    });`;
    const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    await context.audioWorklet.addModule(url);
    const node = new AudioWorkletNode(context, "recording");
    const recording = (window.recording = { context, node, analyser, blocks: [], acts: [] });
    Object.assign(recording, { leads: [], stalls: [0, 0] });
    node.port.onmessage = ({ data }) => {
        recording.blocks.push(data);
        const seconds = data[0] / context.sampleRate;
        const { contextTime, performanceTime } = context.getOutputTimestamp();
        recording.leads.push(contextTime - performanceTime / 1000);
        recording.stalls[0] = Math.max(recording.stalls[0], context.currentTime - seconds);
    };
    const { start } = AudioBufferSourceNode.prototype;
    AudioBufferSourceNode.prototype.start = function (at, ...rest) {
        start.call(this, at, ...rest);
        if (this.context !== context) return;
        recording.stalls[1] = Math.max(recording.stalls[1], context.currentTime - at);
    };
    analyser.connect(node).connect(context.destination);
    const onAct = (event) => {
        const lateSeconds = (performance.now() - event.timeStamp) / 1000;
        recording.acts.push((context.currentTime - lateSeconds) * context.sampleRate);
    };
    for (const kind of ["pointerrawupdate", "pointermove", "click", "keydown"]) {
        window.addEventListener(kind, onAct, { capture: true });
    }
}
"""
_WAIT_FOR_RECORDING = """
async (seconds) => {
    const { context, blocks } = window.recording;
    const end = (context.currentTime + seconds) * context.sampleRate;
    while (!blocks.length || blocks.at(-1)[0] < end) {
        await new Promise((resume) => setTimeout(resume, 10));
    }
}
"""
_READ_RECORDING = """
() => {
    const { blocks, acts, leads, stalls } = window.recording;
    const bytes = new Uint8Array(blocks.length * 512);
    blocks.forEach(([, block], index) => bytes.set(new Uint8Array(block.buffer), index * 512));
    let text = "";
    for (let at = 0; at < bytes.length; at += 32768) {
        text += String.fromCharCode(...bytes.subarray(at, at + 32768));
    }
    return { first: blocks[0]?.[0] ?? 0, text: btoa(text), acts, leads, stalls };
}
"""


def needs(checkpoint: str) -> pytest.MarkDecorator:
    """Skip a test where a shipped checkpoint is missing."""
    is_missing = not (ROOT / "checkpoints" / checkpoint / "model.safetensors").is_file()
    return pytest.mark.skipif(is_missing, reason=f"{checkpoint} is not there: train it first")


def on(*apps: object) -> pytest.MarkDecorator:
    """Run a test on each of some of `APPS`."""
    return pytest.mark.parametrize("address", apps, indirect=True)


def real(checkpoint: str) -> object:
    """The app itself, of `APPS`, where a checkpoint is there."""
    return pytest.param("real", marks=needs(checkpoint))


faked = on("fake")
everywhere = on("fake", real("groove_2bar"))


@contextmanager
def serving(app: Path, log: Path, *, by_hand: bool = False) -> Iterator[str]:
    """Run a Streamlit script in the shipped configuration on a free port; yield its address."""
    with started(app, log, by_hand=by_hand) as (address, _):
        wait_until_up(f"{address}/_stcore/health")
        yield address


@contextmanager
def started(
    app: Path, log: Path, *, by_hand: bool = False, per: str = "browser"
) -> Iterator[tuple[str, int]]:
    """Start a Streamlit script; yield the address it will answer at, and its process id.

    The app itself starts as `make run` starts it, or `by_hand` with `streamlit run app.py`. Its
    library is beside the log: one per browser context, so that no test finds what another left,
    or one per "machine".
    """
    library = {"MUSICVAE_LIBRARY": str(log.parent), "MUSICVAE_LIBRARY_PER": per}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    is_made = app == APPS["real"] and not by_hand
    how = ["scripts.run_app"] if is_made else ["streamlit", "run", str(app)]
    command = [sys.executable, "-m", *how]
    options = [f"--server.port={port}", "--server.headless=true"]  # all else as it ships
    with log.open("wb") as file:
        server = subprocess.Popen(
            command + options, cwd=ROOT, stdout=file, stderr=file, env={**os.environ, **library}
        )
        try:
            yield f"http://127.0.0.1:{port}", server.pid
        finally:
            server.terminate()
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()


def wait_until_up(address: str) -> None:
    def answers() -> bool:
        try:
            urllib.request.urlopen(address, timeout=2).close()
        except OSError:
            return False
        return True

    until(answers, "streamlit to answer")


def until(is_so: Callable[[], bool], what: str) -> None:
    """Wait for something that the browser cannot wait for by itself."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not is_so():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.05)


@contextmanager
def launched() -> Iterator[Browser]:
    """Start Chromium, or skip the test without it."""
    with playwright.sync_playwright() as driver:
        own = driver.chromium.executable_path  # where playwright would have put its own
        named = [os.environ.get("CHROMIUM", "chromium"), "google-chrome", own]
        executable = next(filter(runs, named), None)
        if executable is None:
            pytest.skip("Chromium is not there: install it, or name it in $CHROMIUM")
        browser = driver.chromium.launch(
            executable_path=shutil.which(executable), args=FLAGS.split()
        )
        yield browser
        browser.close()


def runs(executable: str) -> bool:
    """Say whether a browser is there and not just a stub that asks for it."""
    found = shutil.which(executable)
    return found is not None and not subprocess.run([found, "--version"], check=False).returncode


@contextmanager
def opened(browser: Browser, url: str, **options: object) -> Iterator[Page]:
    """Open a page; fail afterwards if it threw an error or could not fetch something."""
    options = {"viewport": {"width": 1280, "height": 900}, "accept_downloads": True} | options
    context = browser.new_context(**options)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on(
        "requestfailed",
        lambda request: is_left_behind(request) or failures.append(request.url),
    )
    page.goto(url)
    wait_for_sound(page)
    yield page
    seen = list(failures)  # closing cancels what is still under way
    context.close()
    assert not seen, seen


def is_left_behind(request: playwright.Request) -> bool:
    """Whether a request failed only since its page was left or reloaded."""
    return request.failure == "net::ERR_ABORTED"


def allowed(seconds: float) -> float:
    """The bound with slack for other machines, and longer where many processes share the cores."""
    share = os.getloadavg()[0] / (os.cpu_count() or 1)
    return seconds * SLACK * max(1.0, share)


class InvalidRecordingError(Exception):
    """The machine stalled while sound was recorded, so the recording proves nothing."""


def in_real_time(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test of recorded sound alone, and again if its recording was invalid.

    A failed assertion fails the test.
    """

    @pytest.mark.alone
    @wraps(test)
    def with_valid_recording(page: Page) -> None:
        for tries_left in reversed(range(MAX_RECORDINGS)):
            try:
                test(page)
                break
            except InvalidRecordingError:
                if not tries_left:
                    raise
            page.context.clear_cookies()  # else the library brings back what the test has changed
            page.reload()
            wait_for_sound(page)

    return with_valid_recording


def wait_for_rest(page: Page) -> None:
    """Wait until the script has run to its end."""
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()


def wait_for_sound(page: Page, card: int = 0) -> None:
    """Wait until a card is there and the kit that it is played with."""
    page.locator(".card").nth(card).wait_for()
    wait_for_state(page, "deck.deck.engine.hasKit")


def state(page: Page) -> dict:
    return page.locator(".deck").evaluate("deck => deck.deck.state")


def ids(page: Page) -> list[str]:
    return [card["id"] for card in state(page)["cards"]]


def play(page: Page, card: int = 0) -> None:
    page.locator(".card .play").nth(card).click()
    wait_for_state(page, f"now.playing === {ids(page)[card]!r}")


def wait_for_state(page: Page, condition: str) -> None:
    """Wait for a condition in JavaScript on `now`, the state of the deck."""
    is_so = f"deck => {{ const now = deck.deck.state; return {condition}; }}"

    def is_met() -> bool:
        deck = page.locator(".deck").first.element_handle()
        try:
            page.wait_for_function(is_so, arg=deck, timeout=2_000)
        except playwright.TimeoutError:
            return False  # another deck may have taken the place of this one
        return True

    until(is_met, condition)


def loudest(page: Page, seconds: float = 1.0) -> float:
    """Highest sample that passes the analyser within some seconds."""
    return loudest_of(page.locator(".deck"), seconds)


def loudest_of(deck: Locator | ElementHandle, seconds: float = 1.0) -> float:
    """The same of one deck of several, or of one that has left the page."""
    return deck.evaluate(
        """async (deck, seconds) => {
            const samples = new Float32Array(deck.deck.analyser.fftSize);
            const end = performance.now() + 1000 * seconds;
            let peak = 0;
            while (performance.now() < end) {
                deck.deck.analyser.getFloatTimeDomainData(samples);
                for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
                await new Promise((resume) => setTimeout(resume, 10));
            }
            return peak;
        }""",
        seconds,
    )


def download(page: Page, button: Locator) -> tuple[str, bytes]:
    with page.expect_download() as event:
        button.click()
    return event.value.suggested_filename, Path(event.value.path()).read_bytes()


class Recording:
    """Records every sample of the left channel that the app plays, from now on.

    Something has to have played before. `sound` is what was recorded up to the last `stop`, from
    frame `first` of the audio clock on; `acts` are the frames of it at which the pointer moved, or
    something was clicked or typed.

    A recording is invalid if the page stalled for almost as long as the player schedules ahead, or
    if a note was started after its time on the audio clock.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        page.locator(".deck").first.evaluate(_START_RECORDING)

    def wait(self, seconds: float) -> None:
        """Wait until so much more was recorded, however long that takes."""
        self.page.evaluate(_WAIT_FOR_RECORDING, seconds)

    def stop(self) -> np.ndarray:
        """Return all that was recorded, and keep it.

        Raises
        ------
        InvalidRecordingError
            See above.
        """
        read = self.page.evaluate(_READ_RECORDING)
        stalled, late = read["stalls"]
        if stalled > MAX_STALL_SECONDS or late > 0:
            raise InvalidRecordingError(f"The page stalled for {stalled} s, a note for {late} s.")
        self.first = round(read["first"])
        self.sound = np.frombuffer(base64.b64decode(read["text"]), "<f4")
        self.acts = np.array(read["acts"]) - self.first
        self._leads = np.array(read["leads"])
        return self.sound

    def check_clock(self, seconds: float) -> None:
        """Raise `InvalidRecordingError` if the audio clock, against the page's, moved by more.

        Of each second (344 blocks), the median of what the browser reported counts.
        """
        medians = np.median(np.lib.stride_tricks.sliding_window_view(self._leads, 344), axis=1)
        if np.ptp(medians) > seconds:
            raise InvalidRecordingError(f"The audio clock moved by {np.ptp(medians)} s.")


def origin_of(loop: np.ndarray, heard: np.ndarray) -> int:
    """Return which sample of a loop the first of `heard` is, a stretch of that loop."""
    n = len(loop)
    assert len(heard) <= n

    def against(stretch: np.ndarray, sound: np.ndarray) -> np.ndarray:
        spectrum = np.conj(np.fft.rfft(stretch, n)) * np.fft.rfft(sound)
        return np.fft.irfft(spectrum, n)

    energy = against(np.ones(len(heard)), loop**2)
    return int(np.argmin(energy - 2 * against(heard, loop)))


def looped(loop: np.ndarray, origin: int, n_samples: int) -> np.ndarray:
    """Return `n_samples` of a loop that begins at its sample `origin`."""
    return loop[(origin + np.arange(n_samples)) % len(loop)]
