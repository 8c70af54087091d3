"""The app as it ships, started cold: how soon it plays, what it costs idle, who can reach it."""

from __future__ import annotations

import os
import re
import socket
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlparse

import pytest
from real_browser import (
    APPS,
    PATIENCE_MS,
    Browser,
    Page,
    allowed,
    everywhere,
    faked,
    ids,
    needs,
    on,
    opened,
    play,
    real,
    serving,
    started,
    until,
    wait_for_rest,
    wait_for_sound,
    wait_until_up,
)

from musicvae_core.music.midi.scan import MAX_BYTES
from scripts.measure_app import _SCRIPTS_ARE_THERE, counted

pytestmark = pytest.mark.browser

COLD_SECONDS = 5.0
MAX_DRAW_BYTES = 20_000
PATHS = ("morph", "attributes", "map", "long_form", "groove_lab", "library", "about")
IDLE_SECONDS, IDLE_CPU_SECONDS = 10.0, 0.1


def cpu_seconds(process: int) -> float:
    """Return the processor time that a process has used so far, without its children's."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_seconds_of(process: int, seconds: float) -> float:
    """Return the processor time that a process uses in the next `seconds`."""
    before = cpu_seconds(process)
    time.sleep(seconds)
    return cpu_seconds(process) - before


@pytest.mark.alone
@needs("groove_2bar")
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")
def test_starts_soon_and_then_an_idle_tab_costs_next_to_nothing(browser: Browser, tmp_path) -> None:
    begin = time.monotonic()
    with started(APPS["real"], tmp_path / "log") as (address, process):
        wait_until_up(f"{address}/_stcore/health")
        page = browser.new_page()
        page.goto(address)
        wait_for_sound(page)
        cold_seconds = time.monotonic() - begin
        wait_for_rest(page)
        page.wait_for_function(_SCRIPTS_ARE_THERE, timeout=PATIENCE_MS)
        until(lambda: cpu_seconds_of(process, 1.0) < 0.02, "the server to have nothing to do")
        idle_cpu_seconds = cpu_seconds_of(process, IDLE_SECONDS)
        page.close()
    print(f"playable after {cold_seconds:.2f} s, {idle_cpu_seconds:.2f} CPU-seconds idle")
    assert idle_cpu_seconds <= allowed(IDLE_CPU_SECONDS)
    assert cold_seconds < allowed(COLD_SECONDS)


@needs("groove_2bar")
@pytest.mark.parametrize("path", PATHS)
def test_the_first_visitor_of_a_server_can_open_any_page(
    path: str, browser: Browser, tmp_path: Path
) -> None:
    with serving(APPS["real"], tmp_path / "log", by_hand=path in PATHS[::2]) as address:
        page = browser.new_page()
        page.goto(f"{address}/{path}")
        link = page.locator("[data-testid=stTopNavLink][aria-current=page]")
        page.locator(".transport").wait_for(timeout=PATIENCE_MS)  # the end of a page
        link.wait_for(timeout=PATIENCE_MS)
        wait_for_rest(page)
        assert urlparse(link.get_attribute("href")).path == f"/{path}"
        assert page.get_by_role("dialog").count() == 0
        page.close()


@on(real("groove_2bar"))
def test_eight_new_grooves_are_a_few_bytes(address: str, browser: Browser) -> None:
    with counted(address) as wire, opened(browser, wire.address) as page:
        scripts = page.evaluate(
            "performance.getEntriesByType('resource').map(({ name }) => name)"
            ".filter((name) => name.includes('/app/static/'))"
        )
        wait_for_rest(page)
        before, shown = wire.n_bytes, ids(page)
        page.locator(".st-key-sample button:visible").click()
        until(lambda: not set(ids(page)) & set(shown), "eight new grooves")
        wait_for_rest(page)
        n_bytes = wire.n_bytes - before
    print(f"{len(shown)} new grooves are {n_bytes} bytes")
    assert len(shown) == 8
    assert n_bytes <= MAX_DRAW_BYTES
    assert any("/deck.js?" in name for name in scripts)  # once, as a file


@everywhere
def test_no_script_of_streamlit_is_fetched_when_a_page_is_first_opened(
    address: str, browser: Browser
) -> None:
    fetched: list[str] = []
    with opened(browser, address) as page:
        page.wait_for_function(_SCRIPTS_ARE_THERE)
        page.on("request", lambda request: fetched.append(request.url))
        for path in ("morph", "attributes", "map", "long_form", "groove_lab", "library"):
            page.get_by_role("link", name=path.replace("_", " ").capitalize(), exact=True).click()
            page.wait_for_url(f"{address}/{path}")
            wait_for_rest(page)
            if path == "map":
                page.locator(".js-plotly-plot .main-svg").first.wait_for()
    assert [url for url in fetched if f"{address}/static/js/" in url] == []


@faked
def test_playback_goes_on_while_a_script_is_evaluated(page: Page) -> None:
    page.evaluate(
        """() => {
            window.starts = [];
            const start = AudioBufferSourceNode.prototype.start;
            AudioBufferSourceNode.prototype.start = function (at) {
                window.starts.push([at, this.context.currentTime]);
                start.call(this, at);
            };
        }"""
    )
    play(page)
    page.wait_for_function(_SCRIPTS_ARE_THERE)
    assert max(at - now for at, now in page.evaluate("window.starts")) > 2


@faked
def test_other_machines_are_not_let_in(address: str) -> None:
    port = int(address.rpartition(":")[2])
    with socket.socket() as probe, pytest.raises(OSError, match="refused"):
        probe.connect(("127.0.0.2", port))  # answers where a server listens on every address


def upload(page: Page, name: str, data: bytes) -> None:
    """Drop a file on the Attributes page."""
    page.get_by_role("link", name="Attributes", exact=True).click()
    page.get_by_role("button", name="Add", exact=False).first.click()
    file = {"name": name, "mimeType": "audio/midi", "buffer": data}
    page.locator("input[type=file]").set_input_files(file, timeout=30_000)


def upload_bytes(address: str) -> int:
    """How much the server holds of what all sessions have uploaded."""
    with urllib.request.urlopen(f"{address}/_stcore/metrics") as answer:
        lines = [line for line in answer.read().decode().splitlines() if "UploadedFile" in line]
    return sum(int(line.split()[1]) for line in lines)


@faked
def test_an_upload_leaves_the_server_s_memory_whether_it_is_read_or_refused(
    page: Page, address: str
) -> None:
    upload(page, "noise.mid", b"noise" * 100_000)
    page.get_by_text("noise.mid: This is not a MIDI file").wait_for()
    assert upload_bytes(address) == 0


@faked
def test_a_file_that_the_reader_would_refuse_for_its_size_is_not_sent(page: Page) -> None:
    sent = []
    page.on("request", lambda request: sent.append(request.method))
    upload(page, "big.mid", bytes(MAX_BYTES + 1))
    page.get_by_text(re.compile(r"File must be 2(\.0)?MB or smaller")).wait_for()
    assert "PUT" not in sent
