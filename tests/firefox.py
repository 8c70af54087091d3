"""A stock Firefox in a test, driven by WebDriver BiDi over its own debugging port."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from real_browser import PATIENCE_MS, runs, until
from websockets.sync.client import ClientConnection, connect

NAMES = (os.environ.get("FIREFOX", "firefox-esr"), "firefox")
KEYS = {"ArrowUp": "\ue013", "Enter": "\ue007", "Space": " "}
"""WebDriver 2, section 15.4.2."""
_LISTENING = re.compile(r"WebDriver BiDi listening on (ws://\S+)")
_PREFERENCES = """
user_pref("media.cubeb.backend", "alsa");
user_pref("media.cubeb.sandbox", false);
user_pref("security.sandbox.content.level", 0);
"""
"""The process of the page opens the sound card itself: that of the browser's does not find ours."""
_SOUND_CARD = """
pcm.!default {{
    type plug
    slave {{
        pcm {{ type file file "{pipe}" format raw slave.pcm {{ type null }} }}
        channels 2
        rate {rate}
        format S16_LE
    }}
}}
ctl.!default {{ type null }}
"""
"""ALSA's configuration of a card that is a pipe."""
_RATE, _FRAME_BYTES, _READ_BYTES = 44_100, 4, 4096
_LONGEST_SILENCE_SECONDS = 0.1
"""How long the sound card waits for sound before it looks whether it is over."""
_FIND = """
((selector) => {
    const within = (root) => root.querySelector(selector) ??
        [...root.querySelectorAll("*")].reduce(
            (found, { shadowRoot }) => found ?? (shadowRoot && within(shadowRoot)), null);
    return within(document);
})
"""
"""The first element of a selector, in the page or in any shadow tree of it."""


class Firefox:
    """One tab.

    Parameters
    ----------
    socket
        Connected to the browser, without a session.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._n_sent = 0
        self._command("session.new", capabilities={})
        [tab] = self._command("browsingContext.getTree", maxDepth=0)["contexts"]
        self._tab = tab["context"]

    def open(self, url: str) -> None:
        self._command("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in JavaScript, awaited, by way of JSON.

        It may call `find(selector)`, which looks into shadow trees.
        """
        script = (
            f"(async () => {{ const find = {_FIND};"
            f"return JSON.stringify((await ({expression})) ?? null); }})()"
        )
        answer = self._command(
            "script.evaluate",
            expression=script,
            target={"context": self._tab},
            awaitPromise=True,
        )
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        return json.loads(answer["result"]["value"])

    def wait_for(self, condition: str) -> None:
        """Wait for a condition in JavaScript; it may fail as long as what it asks is not there."""
        until(
            lambda: self.evaluate(f"(() => {{ try {{ return {condition}; }} catch {{}} }})()"),
            condition,
        )

    def click(self, selector: str) -> None:
        """Press the left button on the middle of an element."""
        self.wait_for(f"find({json.dumps(selector)}).getClientRects().length")
        x, y = self.evaluate(
            f"""(() => {{
                const shown = find({json.dumps(selector)});
                shown.scrollIntoView({{ block: "center" }});
                const {{ left, top, width, height }} = shown.getBoundingClientRect();
                return [Math.round(left + width / 2), Math.round(top + height / 2)];
            }})()"""
        )
        moves = [
            {"type": "pointerMove", "x": x, "y": y},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        self._act({"type": "pointer", "id": "mouse", "actions": moves})

    def press(self, key: str) -> None:
        """Press and release one of `KEYS`."""
        strokes = [{"type": kind, "value": KEYS[key]} for kind in ("keyDown", "keyUp")]
        self._act({"type": "key", "id": "keyboard", "actions": strokes})

    def _act(self, source: dict[str, object]) -> None:
        self._command("input.performActions", context=self._tab, actions=[source])

    def _command(self, method: str, **params: object) -> Any:
        self._n_sent += 1
        self._socket.send(json.dumps({"id": self._n_sent, "method": method, "params": params}))
        answer: dict[str, Any] = {}
        while answer.get("id") != self._n_sent:  # events come between
            answer = json.loads(self._socket.recv(timeout=PATIENCE_MS / 1000))
        assert answer["type"] == "success", f"{method}: {answer.get('message')}"
        return answer["result"]


@contextmanager
def _sound_card(folder: Path) -> Iterator[dict[str, str]]:
    """Make a sound card, without which Firefox's audio clock stands still.

    It is a pipe, read as fast as a card plays. Yields the environment that makes it ALSA's.
    """
    pipe, configuration = folder / "sound-card", folder / "asound.conf"
    os.mkfifo(pipe)
    configuration.write_text(_SOUND_CARD.format(pipe=pipe, rate=_RATE))
    end = os.open(pipe, os.O_RDWR)  # never without a writer, so that the reader stays
    is_over = Event()

    def play() -> None:
        start, n_bytes = time.monotonic(), 0
        while not is_over.is_set():
            if not select.select([end], [], [], _LONGEST_SILENCE_SECONDS)[0]:
                continue
            n_bytes += len(os.read(end, _READ_BYTES))
            due = start + n_bytes / (_RATE * _FRAME_BYTES)
            start = max(start, start + time.monotonic() - due - 1)  # silence is not caught up with
            is_over.wait(due - time.monotonic())

    player = Thread(target=play)
    player.start()
    try:
        yield {"ALSA_CONFIG_PATH": str(configuration)}
    finally:
        is_over.set()
        player.join()
        os.close(end)


@contextmanager
def launched(folder: Path) -> Iterator[Firefox]:
    """Start Firefox with a profile and a log in a folder, or skip the test without it."""
    executable = next(filter(runs, NAMES), None)
    if executable is None:
        pytest.skip("Firefox is not there: install it, or name it in $FIREFOX")
    options = ["--headless", "--no-remote", "--remote-debugging-port", "0", "--profile"]
    log = folder / "firefox.log"
    (folder / "user.js").write_text(_PREFERENCES)
    with _sound_card(folder) as sound, log.open("wb") as file:
        browser = subprocess.Popen(
            [shutil.which(executable), *options, folder, "about:blank"],
            stdout=file,
            stderr=file,
            env={**os.environ, **sound, "HOME": str(folder)},  # nothing of the user's
        )
        try:
            until(lambda: _LISTENING.search(log.read_text()), "Firefox to listen")
            address = _LISTENING.search(log.read_text())[1]
            with connect(f"{address}/session", max_size=None) as socket:
                yield Firefox(socket)
        finally:
            browser.terminate()
            browser.wait(timeout=30)
