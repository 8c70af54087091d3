"""The transport bar in a real Chromium: how it looks, what its controls do, and MIDI."""

from __future__ import annotations

import io
import wave
import zipfile

import numpy as np
import pytest
from deck_in_browser import (
    showing,
    transport_in_python,
)
from fake_studio import pulse
from real_browser import (
    Locator,
    Page,
    Recording,
    download,
    faked,
    ids,
    in_real_time,
    loudest,
    on,
    play,
    state,
    until,
    wait_for_rest,
    wait_for_sound,
    wait_for_state,
)

from musicvae_core.music.drums import RIDE, SNARE
from pages.shared.card import _hits_payload
from pages.shared.transport import _file_of

pytestmark = pytest.mark.browser

AT_ONCE_SECONDS = 0.03
SIZES = ((1440, 900), (1280, 800), (1000, 700), (390, 844))
LEAST_CONTRAST = 4.5
"""WCAG 2.2, level AA, for small text."""
TEMPO_NAME = "Tempo in beats a minute"

_OVERFLOW = """
(bar) => [...bar.querySelectorAll("*")].filter((one) => {
    const { left, right, top, bottom, width } = one.getBoundingClientRect();
    if (!width || one.closest("dialog, option, .mixer")) return false;
    const isCut = one.scrollWidth > one.clientWidth + 1 && one.matches("span, button");
    return isCut || left < 0 || right > innerWidth || top < 0 || bottom > innerHeight;
}).map((one) => `${one.className} ${one.textContent}`)
"""
_CONTRASTS = """
(bar) => {
    const light = (colour) => {
        const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => {
            const share = part / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (one) => {
        const { backgroundColor: colour } = getComputedStyle(one);
        const isClear = colour === "transparent" || colour.endsWith(", 0)");
        return isClear && one !== bar ? ground(one.parentElement) : colour;
    };
    const texts = [...bar.querySelectorAll("*")].filter((one) =>
        one.checkVisibility() && [...one.childNodes].some((child) => child.nodeType === 3));
    return texts.map((one) => {
        const pair = [light(getComputedStyle(one).color), light(ground(one))].sort((a, b) => b - a);
        return [one.textContent, (pair[0] + 0.05) / (pair[1] + 0.05)];
    });
}
"""
_FAKE_MIDI = """
() => {
    const sent = (window.sent = []);
    const output = {
        id: "out", name: "A synthesizer",
        send: (bytes, at = performance.now()) => sent.push([at, performance.now(), ...bytes]),
    };
    const input = (window.pads = { id: "in", name: "Some pads", onmidimessage: null });
    const ports = { inputs: new Map([["in", input]]), outputs: new Map([["out", output]]) };
    navigator.requestMIDIAccess = async () => ports;
}
"""


def wav_seconds(data: bytes) -> float:
    with wave.open(io.BytesIO(data)) as file:
        return file.getnframes() / file.getframerate()


def bar_of(page: Page) -> Locator:
    return page.get_by_role("region", name="Transport")


def engine(page: Page, expression: str) -> object:
    return page.locator(".deck").first.evaluate(f"deck => deck.deck.engine.{expression}")


@on("deck")
@showing("pulse")
def test_the_bar_fits_reads_well_and_sets_the_tempo_before_the_first_play(page: Page) -> None:
    bar = bar_of(page)
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        assert bar.evaluate(_OVERFLOW) == [], width
        too_weak = [
            (text, ratio) for text, ratio in bar.evaluate(_CONTRASTS) if ratio < LEAST_CONTRAST
        ]
        assert too_weak == [], width
    names = bar.evaluate(
        "bar => [...bar.querySelectorAll('button, input, select')]"
        ".filter(one => one.checkVisibility()).map(one => one.ariaLabel ?? one.textContent)"
    )
    assert all(names)
    assert len(set(names)) == len(names)
    tempo = bar.get_by_label(TEMPO_NAME)
    assert tempo.input_value() == "120"
    assert bar.locator(".name").inner_text() == "pulse"
    for typed, then in (
        ("90", "90"),
        ("", "90"),
        ("fast", "90"),
        ("1000", "400"),
        ("100,4", "100"),
    ):
        tempo.fill(typed)
        tempo.press("Enter")
        until(lambda then=then: tempo.input_value() == then, f"{then} bpm for {typed!r}")
    bar.get_by_role("button", name="own").click()
    assert tempo.input_value() == "120"
    box = tempo.bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + 20, box["y"] - 20, steps=4)
    page.mouse.up()
    assert tempo.input_value() == "130"
    page.locator("body").press("?")
    assert page.get_by_role("dialog", name="Keys and gestures").is_visible()
    page.keyboard.press("Escape")

    bar.get_by_role("button", name="Mixer").click()
    bar.get_by_role("button", name="Hear ride alone").click()
    assert engine(page, "silent.size") == 12
    until(lambda: transport_in_python(page)["soloed"] == [RIDE], "Python to know the solo")
    name, data = download(page, bar.get_by_role("button", name="Save stems"))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert (name, archive.namelist()) == ("pulse-stems.zip", ["09-ride.wav"])
        assert wav_seconds(archive.read("09-ride.wav")) == pytest.approx(8 * 60 / 130, abs=1e-4)
    page.keyboard.press("Escape")
    assert not bar.get_by_role("region", name="Mixer").is_visible()
    page.locator("body").press(" ")
    wait_for_state(page, "now.playing === 'pulse'")


@on("deck")
@showing("pulse")
@in_real_time
def test_a_midi_port_gets_notes_and_clock_in_time_and_pads_play(page: Page) -> None:
    page.evaluate(_FAKE_MIDI)
    play(page)
    recording = Recording(page)
    recording.wait(1.5)  # until the audio clock is known well
    page.locator("body").press(" ")
    wait_for_state(page, "now.playing === null")
    bar = bar_of(page)
    bar.get_by_role("button", name="Mixer").click()
    for name, port in (("MIDI out", "out"), ("MIDI in", "in")):
        bar.get_by_label(name, exact=True).focus()
        bar.get_by_label(name, exact=True).select_option(port)
    bar.get_by_role("button", name="count-in").click()
    play(page)
    page.wait_for_function("sent.filter(([,, status]) => status === 0x99).length > 12")
    recording.stop()
    recording.check_clock(seconds=0.001)
    sent = sent_of(page)
    (start,) = sent[0xFA]
    assert abs(start - sent[0xF8][0] - 2000) < 3  # a bar is counted in
    hits = _hits_payload(pulse(RIDE, 120.0, 2, loose=True))
    expected = sorted(125 * ((step + offset) % 32) for step, _, _, offset in hits)
    np.testing.assert_allclose(np.array(sent[0x99][:12]) - start, expected[:12], atol=2)
    np.testing.assert_allclose(np.diff(sent[0xF8]), 500 / 24, atol=2)
    assert max(at - told for at, told, *_ in page.evaluate("sent")) < 150  # held back until then

    bar.get_by_label(TEMPO_NAME).fill("60")
    bar.get_by_label(TEMPO_NAME).press("Enter")
    n_ticks = len(sent_of(page)[0xF8])
    page.wait_for_function(
        "n => sent.filter(([,, status]) => status === 0xf8).length > n + 30", arg=n_ticks
    )
    recording.stop()
    recording.check_clock(seconds=0.001)
    sent = sent_of(page)
    np.testing.assert_allclose(np.diff(sent[0xF8])[-20:], 1000 / 24, atol=2)
    assert np.diff(sent[0x99]).min() > 50  # no note twice
    page.keyboard.press("Escape")
    page.locator("body").press(" ")
    page.wait_for_function("sent.at(-1)[2] === 0xfc")
    sent = sent_of(page)
    assert len(sent[0x99]) == len(sent[0x89])
    assert len(sent[0xFA]) == 1

    struck = page.locator(".deck").evaluate(
        """async (deck) => {
            const { engine } = deck.deck;
            const heard = new Promise((told) =>
                engine.addEventListener("pad", told, { once: true }));
            pads.onmidimessage({ data: [0x99, 40, 64], timeStamp: 5 });
            const samples = new Float32Array(engine.analyser.fftSize);
            while (Math.max(...samples) < 0.01) {
                await new Promise((resume) => setTimeout(resume, 5));
                engine.analyser.getFloatTimeDomainData(samples);
            }
            return (await heard).detail;
        }"""
    )
    assert struck == {"voice": SNARE, "velocity": 64 / 127, "time": 5}


def sent_of(page: Page) -> dict[int, list[float]]:
    """When each kind of message was due, in ms, by its first byte."""
    times: dict[int, list[float]] = {}
    for at, _, status, *_ in page.evaluate("sent"):
        times.setdefault(status, []).append(at)
    return times


@faked
def test_a_change_just_before_another_page_reaches_python(page: Page) -> None:
    bar_of(page).get_by_label("Volume").fill("0.5")
    link = page.get_by_test_id("stTopNavLink").filter(has_text="Morph")
    link.click(delay=60)  # as a press takes: Python is told at its beginning
    page.wait_for_url("**/morph")
    wait_for_rest(page)
    wait_for_sound(page)
    assert engine(page, "volume") == 0.5
    assert volume_after_a_reload(page) == 0.5


@faked
def test_a_change_that_is_lost_on_its_way_is_sent_again(page: Page) -> None:
    page.locator(".deck").evaluate(
        """deck => {
            const { settings } = deck.deck.engine;
            const { send } = settings;
            settings.send = () => { settings.send = send; };
        }"""
    )
    bar_of(page).get_by_label("Volume").fill("0.5")
    assert volume_after_a_reload(page) == 0.5


def volume_after_a_reload(page: Page) -> float:
    """What a reload brings back of a change that Python has confirmed."""
    until(lambda: not engine(page, "settings.isUnconfirmed"), "Python to confirm the volume")
    wait_for_rest(page)
    page.reload()
    wait_for_sound(page)
    wait_for_rest(page)
    return float(bar_of(page).get_by_label("Volume").input_value())


@faked
def test_a_rerun_asks_nothing_of_the_engine_that_plays(page: Page) -> None:
    wait_for_rest(page)
    play(page)
    page.locator(".deck").first.evaluate(
        """deck => {
            const { engine } = deck.deck;
            window.asked = [];
            for (const name of ["play", "replace", "stop", "setPlayback", "setMix", "setKit"]) {
                const does = engine[name].bind(engine);
                engine[name] = (...how) => (window.asked.push(name), does(...how));
            }
        }"""
    )
    page.locator(".card .keep").first.click()
    page.locator(".card .keep[aria-pressed=true]").first.wait_for()
    wait_for_rest(page)
    assert page.evaluate("window.asked") == []
    engine(page, "toggleVoice(0)")
    until(lambda: not engine(page, "settings.isUnconfirmed"), "Python to confirm it")
    assert engine(page, "isMuted(0)")
    assert page.evaluate("window.asked") == ["setMix"], "the click itself"
    assert state(page)["playing"] == ids(page)[0]


@on("deck")
@showing("pulse")
def test_where_the_shortest_blocks_come_too_late_the_next_start_takes_longer_ones(
    page: Page,
) -> None:
    play(page)
    before = engine(page, "context.baseLatency")
    page.locator(".deck").first.evaluate(
        "deck => Object.defineProperty(deck.deck.engine.context, 'playbackStats', "
        "{ value: { underrunEvents: 99 } })"
    )
    button = bar_of(page).locator(".play")
    button.click()
    assert engine(page, "context.baseLatency") == before, "it is not yet time"
    button.click()
    wait_for_state(page, "now.playing !== null")
    assert engine(page, "context.baseLatency") > before
    assert loudest(page) > 0.01


@faked
def test_the_pack_of_a_kit_is_there_before_the_choice_and_heard_without_python(page: Page) -> None:
    answers: list[tuple[str, int]] = []
    page.on("response", lambda answer: answers.append((answer.url, answer.status)))
    play(page)
    kit = page.get_by_role("region", name="Transport").get_by_label("Drum kit")
    jazz = f"/{_file_of('jazz')}"

    def is_there() -> bool:
        kit.dispatch_event("pointerenter")  # the server may not have packed it yet
        page.evaluate("window[Symbol.for('groove-space.packs')].fetchedAhead")
        return any(url.endswith(jazz) and status == 200 for url, status in answers)

    until(is_there, "the pack of the kit")
    wait_for_rest(page)
    answers.clear()
    page.evaluate(
        """() => {
            window[Symbol.for("groove-space.packs")].choice.send = () => {};
            const engine = window[Symbol.for("groove-space.engine")];
            const before = engine.kitOf(0);
            engine.addEventListener("kit", () => (window.heard = engine.kitOf(0) !== before));
        }"""
    )
    kit.select_option("jazz")
    page.wait_for_function("window.heard")
    assert kit.input_value() == "jazz"
    assert [url for url, _ in answers if url.endswith(".pack")] == []
