"""Measure how fast the app answers in a real Chromium, and print a table for docs/benchmarks.md.

    python -m scripts.measure_app [--tries 5]

Starts the app in its shipped configuration on a free port of this machine and stops it afterwards;
needs Chromium and the playwright package. Times are medians, except that uploads are timed once,
from the event in the page until the engine plays, or the page shows, the result. The measurement
begins once the server has prepared, in the background, what later pages need, and the browser has
loaded their scripts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

from scripts.soak import CHROMIUM, FLAGS, memory_bytes, serving, wait_until_idle

_ROOT = Path(__file__).parents[1]

_PATIENCE_MS = 60_000
_N_SESSIONS = 8
_PAGES = ("Morph", "Attributes", "Map", "Long form", "Groove lab", "Library", "About", "Sample")
_SHOWN = {"Map": ".js-plotly-plot .main-svg", "Library": ".st-key-undo, .stAlert", "About": "h1"}
_TOOLS = """
window.tools = {
    all(selector) {
        const found = [];
        const walk = (root) => {
            for (const node of root.querySelectorAll("*")) {
                if (node.matches(selector)) found.push(node);
                if (node.shadowRoot) walk(node.shadowRoot);
            }
        };
        walk(document);
        return found;
    },
    get engine() {
        return window[Symbol.for("groove-space.engine")];
    },
    hits() {
        return JSON.stringify(window.tools.engine.now?.pattern.hits);
    },
    cards() {
        const [deck] = window.tools.all(".deck");
        return JSON.stringify(deck?.deck.state.cards.map((card) => card.hits));
    },
    // Seconds from a start until something holds; an error says what did not come.
    async until(isThere, what, start = performance.now()) {
        const seconds = () => (performance.now() - start) / 1000;
        while (!isThere()) {
            if (seconds() > PATIENCE_SECONDS) throw new Error(`waited in vain for ${what}`);
            await new Promise((resume) => setTimeout(resume, 2));
        }
        return seconds();
    },
};
""".replace("PATIENCE_SECONDS", str(_PATIENCE_MS // 1000))


def _timed(page: Page, act: str, is_there: str, before: str = "null") -> float:
    """Seconds from an action until a condition holds, both JavaScript; it may use `before`."""
    script = f"""() => {{
        const {{ all, engine, hits, cards, until }} = window.tools;
        const before = {before};
        const start = performance.now();
        {act};
        return until(() => {is_there}, {json.dumps(is_there)}, start);
    }}"""
    seconds: float = page.evaluate(script)
    return seconds


def _go_to(page: Page, title: str) -> None:
    _page_change(page, title)
    _at_rest(page)


def _at_rest(page: Page) -> None:
    page.locator("[data-test-script-state=notRunning]").first.wait_for()


_SCRIPTS_ARE_THERE = """() => {
    const { begun, loaded } = window[Symbol.for("groove-space.scripts")];
    return begun.size > 0 && loaded.size === begun.size;
}"""
_NEW_GROOVES = 'document.querySelector(".st-key-sample button").click()'


def _sample(page: Page) -> float:
    _at_rest(page)
    return _timed(page, _NEW_GROOVES, "cards() !== before", "cards()")


def _sample_heard(page: Page) -> float:
    """Seconds from the click to the beat on which the new groove takes over, from its start."""
    _at_rest(page)
    page.wait_for_function("window.tools.engine.passes > 0.25")
    return _timed(
        page, _NEW_GROOVES, "engine.passes !== null && engine.passes < before", "engine.passes"
    )


def _tempo(page: Page) -> float:
    act = (
        "const field = all('.bpm')[0]; field.value = String(Number(field.value) + 7);"
        "field.dispatchEvent(new Event('change'))"
    )
    return _timed(page, act, "engine.loopSeconds !== before", "engine.loopSeconds")


_KIT = "window.tools.all('.transport select[aria-label=\"Drum kit\"]')[0]"


def _kit(page: Page) -> float:
    """Seconds from a choice, after the menu was open for as long as its kits take to arrive."""
    page.evaluate(f"({_KIT}).dispatchEvent(new Event('pointerenter'))")
    page.evaluate("window[Symbol.for('groove-space.packs')].fetchedAhead")
    _at_rest(page)
    act = (
        "window.heard = false; engine.addEventListener('kit', () => (window.heard = true),"
        f"{{ once: true }}); const choice = {_KIT};"
        "choice.selectedIndex = (choice.selectedIndex + 1) % choice.options.length;"
        "choice.dispatchEvent(new Event('change'))"
    )
    return _timed(page, act, "window.heard")


_INPUT = "all('.slider input')[{at}]"


def _slider_first(page: Page, at: int) -> float:
    act = (
        f"const input = {_INPUT.format(at=at)};"
        "input.dispatchEvent(new PointerEvent('pointerdown'));"
        "const far = Number(input.value) * 2 < Number(input.min) + Number(input.max);"
        "input.value = far ? input.max : input.min; input.dispatchEvent(new Event('input'))"
    )
    return _timed(page, act, "hits() !== before", "hits()")


def _slider_final(page: Page, at: int) -> float:
    notes = "all('.deck')[0].deck.state.cards[0].note"
    act = f"{_INPUT.format(at=at)}.dispatchEvent(new Event('change'))"
    return _timed(page, act, f"{notes} !== before", notes)


def _map_click(page: Page, at: int) -> float:
    place: list[float] = page.evaluate(
        """(at) => {
            const chart = document.querySelector(".st-key-map-area .js-plotly-plot");
            const { xaxis, yaxis } = chart._fullLayout;
            const { left, top } = chart.getBoundingClientRect();
            const trace = chart._fullData.find(({ customdata }) => customdata?.length > 20);
            const point = 3 + 5 * at;
            return [left + xaxis._offset + xaxis.l2p(trace.x[point]),
                top + yaxis._offset + yaxis.l2p(trace.y[point])];
        }""",
        at,
    )
    page.mouse.move(*place)
    page.evaluate(
        """() => {
            const { engine, until } = window.tools;
            const before = engine.now?.key;
            const isHeard = () => engine.now && engine.now.key !== before;
            window.clicked = new Promise((resume) =>
                document.addEventListener("pointerup", () => resume(until(isHeard, "the point")),
                    { once: true, capture: true }));
        }"""
    )
    page.mouse.down()
    page.mouse.up()
    seconds: float = page.evaluate("window.clicked")
    return seconds


def _page_change(page: Page, title: str) -> float:
    shown = _SHOWN.get(title, ".card")
    address = "/" if title == "Sample" else "/" + title.lower().replace(" ", "_")
    act = (
        f"[...document.querySelectorAll('[data-testid=stTopNavLink], a')]"
        f".find((link) => link.textContent.trim().endsWith('{title}')).click()"
    )
    is_there = (
        f"location.pathname === '{address}' && all('{shown}').some((node) => node.offsetHeight || "
        "node.getBoundingClientRect().height) && !before.some((node) => node.isConnected)"
    )
    return _timed(page, act, is_there, f"all('{shown}')")


def _uploads(page: Page, files: tuple[Path, Path]) -> float:
    page.evaluate(
        """() => {
            const { all, hits, until } = window.tools;
            const ends = () => JSON.stringify(all(".deck")[0]?.deck.state.cards[0].morph?.ends);
            const [before, heard] = [ends(), hits()];
            const isThere = () => ends() !== before && hits() !== heard;
            window.morphed = new Promise((resume) =>
                document.addEventListener("change", () => resume(until(isThere, "the morph")),
                    { once: true, capture: true }));
        }"""
    )
    page.locator("input[type=file]").last.set_input_files(list(files))
    seconds: float = page.evaluate("window.morphed")
    return seconds


def _draw_bytes(page: Page, wire: _Wire) -> int:
    """Bytes sent by the server for eight new grooves."""
    page.evaluate(_TOOLS)
    _at_rest(page)
    before = wire.n_bytes
    _sample(page)
    _at_rest(page)
    return wire.n_bytes - before


def _session_bytes(browser: Browser, address: str, process: int) -> float:
    """Memory taken by each additional session, not counting the first two."""
    contexts, sizes = [], []
    for _ in range(2 + _N_SESSIONS):
        contexts.append(browser.new_context())
        page = contexts[-1].new_page()
        page.goto(address)
        page.locator(".card").first.wait_for()
        _at_rest(page)
        sizes.append(memory_bytes(process))
    for context in contexts:
        context.close()
    return (sizes[-1] - sizes[1]) / _N_SESSIONS


def _measure(page: Page, tries: int) -> dict[str, float]:
    """Return seconds by what was measured; the page is Sample, and nothing plays yet."""
    page.evaluate(_TOOLS)
    _play_first(page)

    def median(measure: Callable[[int], float]) -> float:
        return statistics.median(measure(at) for at in range(tries))

    return {
        "New grooves: click to eight shown": median(lambda _: _sample(page)),
        "New grooves: click to heard, on the next beat": median(lambda _: _sample_heard(page)),
        "Tempo: change to heard": median(lambda _: _tempo(page)),
        "Kit: choice to heard": median(lambda _: _kit(page)),
        "Page change, the slowest of eight first visits": _slowest_page_change(page),
        "Page change, the slowest of eight second visits": _slowest_page_change(page),
        **_sliders(page, tries),
        "Map: click to sound": _map_clicks(page, median),
        "Two uploads to a playing morph": _first_uploads(page),
    }


def _play_first(page: Page) -> None:
    _at_rest(page)
    page.locator(".card .play").first.click()
    page.wait_for_function("window.tools.all('.deck')[0].deck.state.playing !== null")


def _slowest_page_change(page: Page) -> float:
    changes = []
    for title in _PAGES:
        changes.append(_page_change(page, title))
        _at_rest(page)
    return max(changes)


def _sliders(page: Page, tries: int) -> dict[str, float]:
    _go_to(page, "Attributes")
    _play_first(page)
    firsts, finals = [], []
    for at in range(tries):
        _at_rest(page)
        firsts.append(_slider_first(page, at))
        finals.append(_slider_final(page, at))
    return {
        "Slider: first changed notes": statistics.median(firsts),
        "Slider: exact groove after release": statistics.median(finals),
    }


def _map_clicks(page: Page, median: Callable[[Callable[[int], float]], float]) -> float:
    _go_to(page, "Map")
    return median(lambda at: _map_click(page, at))


def _first_uploads(page: Page) -> float:
    """Time the first two uploads alone: later ones leave the ends as they are."""
    _go_to(page, "Morph")
    _play_first(page)
    demos = sorted((_ROOT / "assets" / "demo").glob("*.mid"))
    return _uploads(page, (demos[2], demos[3]))


class _Wire:
    """A relay on its own port that counts the bytes a server sends, compressed and with headers.

    Parameters
    ----------
    port
        The server's port, on this machine.
    """

    def __init__(self, port: int) -> None:
        self.n_bytes = 0
        """The bytes that the server has sent so far."""
        self.address = ""
        self._port = port
        self._is_listening, self._is_over = Event(), asyncio.Event()

    async def serve(self) -> None:
        relay = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{relay.sockets[0].getsockname()[1]}"
        self._loop = asyncio.get_running_loop()
        self._is_listening.set()
        await self._is_over.wait()

    def wait_until_listening(self) -> None:
        self._is_listening.wait()

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._is_over.set)

    async def _connect(
        self, browser: asyncio.StreamReader, to_browser: asyncio.StreamWriter
    ) -> None:
        server, to_server = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(
            self._pass_on(browser, to_server), self._pass_on(server, to_browser, counts=True)
        )

    async def _pass_on(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, counts: bool = False
    ) -> None:
        try:
            while data := await source.read(65536):
                self.n_bytes += len(data) if counts else 0
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass  # a closing browser does not announce it
        finally:
            sink.close()


@contextmanager
def counted(address: str) -> Iterator[_Wire]:
    """Yield a relay to the server at an address of this machine."""
    wire = _Wire(urlsplit(address).port or 80)
    thread = Thread(target=lambda: asyncio.run(wire.serve()), daemon=True)  # ends all connections
    thread.start()
    wire.wait_until_listening()
    try:
        yield wire
    finally:
        wire.end()
        thread.join()


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=5, help="1 to 8")
    arguments = parser.parse_args()
    if not 1 <= arguments.tries <= 8:
        parser.error("--tries must be 1 to 8")
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder) / "log") as (address, process),
        counted(address) as wire,
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(_PATIENCE_MS)
        page.goto(wire.address)
        page.locator(".card").first.wait_for()
        wait_until_idle(process)
        page.wait_for_function(_SCRIPTS_ARE_THERE)
        n_bytes = _draw_bytes(page, wire)
        rows = _measure(page, arguments.tries)
        session = _session_bytes(browser, address, process)
        browser.close()
    print("| | |\n| --- | ---: |")
    for what, seconds in rows.items():
        print(f"| {what} | {seconds:.3f} s |")
    print(
        f"| Eight new grooves over the wire, with all that is drawn anew | {n_bytes / 1e3:.1f} kB |"
    )
    print(f"| Memory of one more session | {session / 2**20:.1f} MiB |")


if __name__ == "__main__":
    _main()
