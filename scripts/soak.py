"""Run many browser sessions that click through all pages for some minutes, and report the result.

    python -m scripts.soak [--sessions 20] [--minutes 10] [--pause 1] [--seed 0]

Starts the app in its shipped configuration on a free port of this machine and stops it afterwards;
needs Chromium and the playwright package. First each session visits every page once, so that the
server has loaded what its sessions need before the time starts. Each session samples at its own
tempo, so that a loop from another session would be recognized by its length. All browsers share
this machine with the server, so each draws five frames a second instead of sixty; sixty would take
too much processor time from the server.

Exit status 1: the server logged an error, a page showed one, a session heard another's sound, or
the server's memory grew by more than 5% after the first minute of clicking.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from playwright.async_api import Browser, Error, Page, async_playwright

_ROOT = Path(__file__).parents[1]
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--mute-audio"]
_MAX_SESSIONS, _MAX_MINUTES = 40, 60
_PAGES = ("Sample", "Morph", "Attributes", "Map", "Long form", "Groove lab", "Library", "About")
_WITHOUT_CARDS = ("Map", "Library", "About")
_PATIENCE_SECONDS = 60
_SETTLED_SECONDS = 60.0
_GROWTH = 0.05
_IDLE_SECONDS = 0.1
"""A server that takes less processor time than this in two seconds is idle."""
_LOWEST_TEMPO_BPM = 80
_DRAW_SELDOM = """
window.requestAnimationFrame = (draw) => setTimeout(() => draw(performance.now()), 200);
window.cancelAnimationFrame = clearTimeout;
"""
_ERROR = re.compile(r"Traceback|\bERROR\b|Uncaught|[A-Za-z]+Error:")


@dataclass
class _Tally:
    """The results of all sessions, and the server's memory over time."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    foreign_sounds: list[str] = field(default_factory=list)
    memory: list[tuple[float, int]] = field(default_factory=list)


@dataclass
class _Session:
    """One tab, its tempo and its random generator."""

    page: Page
    tempo_bpm: int
    rng: random.Random
    tally: _Tally

    async def timed(self, what: str, act: Callable[[], Awaitable[None]]) -> None:
        """Record the seconds from a click to its result, or the failure."""
        begin = time.monotonic()
        try:
            await act()
        except Error as error:
            line = str(error).splitlines()[0]
            self.tally.failures.append(f"session at {self.tempo_bpm} bpm, {what}: {line}")
            return
        self.tally.seconds.append(time.monotonic() - begin)
        if await self.page.get_by_test_id("stException").count():
            self.tally.failures.append(f"session at {self.tempo_bpm} bpm, {what}: an error page")

    async def visit(self, title: str) -> None:
        await self.page.get_by_role("link", name=title, exact=True).first.click()
        await self.page.wait_for_url(re.compile(_address_of(title)))
        await self.until_at_rest()
        if title not in _WITHOUT_CARDS:
            await self.page.locator(".card").first.wait_for()

    async def until_at_rest(self) -> None:
        await self.page.locator("[data-test-script-state=notRunning]").first.wait_for()

    async def set_tempo(self) -> None:
        tempo = self.page.get_by_role("textbox", name="Tempo in beats a minute")
        await tempo.fill(str(self.tempo_bpm))
        await tempo.press("Enter")

    async def sample(self) -> None:
        before = (await self.state())["cards"][0]["id"]
        await self.page.locator(".st-key-sample button:visible").click()
        await self.state_becomes(lambda state: state["cards"][0]["id"] != before)

    async def hear(self) -> None:
        """Play a card, and record a loop whose length is not this session's."""
        n = await self.page.locator(".card .play").count()
        at = self.rng.randrange(n)
        await self.page.locator(".card .play").nth(at).click()
        state = await self.state_becomes(lambda state: state["loopSeconds"] is not None)
        own_seconds = state["cards"][at]["steps"] * 15 / self.tempo_bpm
        if abs(state["loopSeconds"] - own_seconds) > 1e-3:
            heard = f"{state['loopSeconds']:.3f} s in place of {own_seconds:.3f} s"
            self.tally.foreign_sounds.append(f"session at {self.tempo_bpm} bpm heard {heard}")
        await self.page.locator(".card .play").nth(at).click()

    async def state(self) -> dict:
        state: dict = await self.page.locator(".deck").first.evaluate("deck => deck.deck.state")
        return state

    async def state_becomes(self, is_so: Callable[[dict], bool]) -> dict:
        """Wait for what the deck shows or plays; the deck may be replaced meanwhile."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not is_so(state := await self.state()):
            if time.monotonic() > deadline:
                raise Error(f"nothing came within {_PATIENCE_SECONDS} s")
            await asyncio.sleep(0.05)
        return state

    async def visit_all(self) -> None:
        """Set the tempo, and visit every page once."""
        await self.timed("the first page", lambda: self.visit("Sample"))
        await self.timed("the tempo", self.set_tempo)
        for title in self.rng.sample(_PAGES, len(_PAGES)):
            await self.timed(title, lambda title=title: self.visit(title))

    async def click_until(self, deadline: float, pause_seconds: float) -> None:
        """Go from page to page; on Sample draw grooves and play one."""
        while time.monotonic() < deadline:
            title = self.rng.choice(_PAGES)
            await self.timed(title, lambda title=title: self.visit(title))
            if title == "Sample":
                await self.timed("a new sample", self.sample)
                await self.timed("play", self.hear)
            await asyncio.sleep(self.rng.expovariate(1 / pause_seconds))


def _address_of(title: str) -> str:
    return r":\d+/(\?.*)?$" if title == "Sample" else "/" + title.lower().replace(" ", "_")


@contextlib.contextmanager
def serving(log: Path) -> Iterator[tuple[str, int]]:
    """Run the app on a free port of this machine; yield its address and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "scripts.run_app", "--server.headless=true"]
    with log.open("wb") as file:
        server = subprocess.Popen(
            [*command, f"--server.port={port}"],
            cwd=_ROOT,
            stdout=file,
            stderr=file,
            env={
                **os.environ,
                "MUSICVAE_LIBRARY": str(log.parent),
                "MUSICVAE_LIBRARY_PER": "browser",
            },
        )
        try:
            _wait_until_up(f"http://127.0.0.1:{port}/_stcore/health")
            yield f"http://127.0.0.1:{port}", server.pid
        finally:
            server.terminate()
            server.wait(timeout=30)


def _wait_until_up(address: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=2):
            return
        time.sleep(0.1)
    raise SystemExit(f"The app did not answer within {_PATIENCE_SECONDS} s.")


def memory_bytes(process: int) -> int:
    """Resident memory of a process."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return 1024 * int(found.group(1)) if found else 0


def wait_until_idle(process: int) -> None:
    """Wait until a server does nothing: after its first page it prepares others."""

    def seconds_spent() -> float:
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before = -_IDLE_SECONDS
    while (now := seconds_spent()) - before >= _IDLE_SECONDS:
        before = now
        time.sleep(2)


async def _watch_memory(process: int, tally: _Tally, begin: float) -> None:
    while True:
        tally.memory.append((time.monotonic() - begin, memory_bytes(process)))
        await asyncio.sleep(1)


@contextlib.asynccontextmanager
async def _sessions(
    browser: Browser, address: str, arguments: argparse.Namespace, tally: _Tally
) -> AsyncIterator[list[_Session]]:
    """Open this many tabs, each with its own storage."""
    opened = []
    for index in range(arguments.sessions):
        context = await browser.new_context(viewport={"width": 1280, "height": 900})
        page = await context.new_page()
        await page.add_init_script(_DRAW_SELDOM)
        page.set_default_timeout(1000 * _PATIENCE_SECONDS)
        await page.goto(address)
        rng = random.Random(f"{arguments.seed}.{index}")
        opened.append(_Session(page, _LOWEST_TEMPO_BPM + index, rng, tally))
    yield opened
    for session in opened:
        await session.page.context.close()


async def _soak(address: str, process: int, arguments: argparse.Namespace) -> _Tally:
    """Let the sessions click until the time is up."""
    tally = _Tally()
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        async with _sessions(browser, address, arguments, tally) as opened:
            await asyncio.gather(*(one.visit_all() for one in opened))
            tally.seconds.clear()
            begin = time.monotonic()
            watching = asyncio.create_task(_watch_memory(process, tally, begin))
            deadline = begin + 60 * arguments.minutes
            await asyncio.gather(*(one.click_until(deadline, arguments.pause) for one in opened))
            watching.cancel()
        await browser.close()
    return tally


def _report(tally: _Tally, log: str) -> bool:
    """Print the results; return whether all went well."""
    errors = [line for line in log.splitlines() if _ERROR.search(line)]
    settled = next((size for at, size in tally.memory if at >= _SETTLED_SECONDS), None)
    last = tally.memory[-1][1]
    growth = None if settled is None else last / settled - 1
    median, p95 = np.percentile(tally.seconds, [50, 95]) if tally.seconds else (np.nan, np.nan)
    print(f"clicks            {len(tally.seconds)} with a result, {len(tally.failures)} without")
    print(f"click to result   median {median:.2f} s, p95 {p95:.2f} s")
    print(f"errors in the log {len(errors)}")
    print(f"foreign sounds    {len(tally.foreign_sounds)}")
    if growth is not None and settled is not None:
        print(
            f"memory            {settled / 2**20:.0f} MiB after a minute, "
            f"{last / 2**20:.0f} MiB at the end ({growth:+.1%})"
        )
    for line in (*tally.failures[:20], *tally.foreign_sounds[:20], *errors[:20]):
        print(f"  {line}")
    is_flat = growth is None or growth <= _GROWTH
    return is_flat and not (errors or tally.failures or tally.foreign_sounds)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=20, help=f"1 to {_MAX_SESSIONS}")
    parser.add_argument("--minutes", type=float, default=10.0, help=f"up to {_MAX_MINUTES}")
    parser.add_argument("--pause", type=float, default=1.0, help="mean seconds between clicks")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if not (1 <= arguments.sessions <= _MAX_SESSIONS and 0 < arguments.minutes <= _MAX_MINUTES):
        parser.error(f"choose 1 to {_MAX_SESSIONS} sessions and up to {_MAX_MINUTES} minutes")
    if arguments.pause <= 0:
        parser.error("--pause must be above 0")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with serving(log) as (address, process):
            tally = asyncio.run(_soak(address, process, arguments))
        is_well = _report(tally, log.read_text(errors="replace"))
    sys.exit(0 if is_well else 1)


if __name__ == "__main__":
    _main()
