"""The deck as an instrument in a real Chromium: what is heard is compared with what should be."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from itertools import pairwise
from urllib.parse import urljoin

import numpy as np
import pytest
import soundfile
from fake_studio import SAMPLE_RATE
from noise_loops import noise_loop
from real_browser import (
    ROOT,
    Browser,
    Locator,
    Page,
    Tape,
    allowed,
    download,
    in_real_time,
    launched,
    looped,
    opened,
    origin_of,
    play,
    serving,
    state,
    until,
    wait_for_rest,
    wait_for_state,
)

from musicvae_core.midi import read_midi
from musicvae_core.vocabulary import CLOSED_HAT, KICK, N_VOICES, SNARE

pytestmark = pytest.mark.browser

LOOP_SECONDS = 4.0
BLOCK_SAMPLES = 512
"""More than Chromium computes at once."""
FADE_SECONDS = 0.008
MOVE_TO_SOUND_SECONDS = 0.030
AHEAD_SECONDS = 1.5
REAL_MODEL = ROOT / "checkpoints" / "groove_2bar" / "model.safetensors"
needs_model = pytest.mark.skipif(not REAL_MODEL.is_file(), reason=f"{REAL_MODEL} is not there")
NOISE_FLOOR = 2e-4
"""Two steps of 16-bit audio, and a little for the decoder's scale."""


_PRESS_AT_ONCE = """
(field, keys) => {
    const press = (key) => new KeyboardEvent("keydown", { key, bubbles: true });
    for (const key of keys) field.dispatchEvent(press(key));
}
"""
_LATE_ONCE = """
() => {
    const { start } = AudioBufferSourceNode.prototype;
    AudioBufferSourceNode.prototype.start = function (at, offset) {
        AudioBufferSourceNode.prototype.start = start;
        while (this.context.currentTime < at + 0.05); // as where other processes have the core
        window.wasLate = true;
        return start.call(this, at, offset);
    };
}
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("streamlit") / "log"
    with serving(ROOT / "tests" / "fake_deck_app.py", log) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture
def page(request: pytest.FixtureRequest, address: str, browser: Browser) -> Iterator[Page]:
    with opened(browser, f"{address}?show={request.param}") as page:
        yield page


def showing(*names: object) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", names, indirect=True)


def card(page: Page) -> dict:
    return state(page)["cards"][0]


def said(page: Page, event: str) -> list:
    """What reached Python of one kind of event, oldest first."""
    lines = json.loads(page.locator("code").inner_text())
    return [line[1:] for line in lines if line[0] == event]


def wait_until_said(page: Page, event: str, count: int = 1) -> list:
    until(lambda: len(said(page, event)) >= count, f"{event} to reach Python")
    wait_for_rest(page)
    return said(page, event)


def wait_until_ahead(page: Page, count: int) -> None:
    page.locator(f".card[data-ahead='{count}']").wait_for()


def loop_at(page: Page, sound: str) -> np.ndarray:
    """The left channel of a sound that the page is served."""
    file = page.request.get(urljoin(page.url, sound)).body()
    pcm, _ = soundfile.read(io.BytesIO(file), dtype="int16")
    return pcm[:, 0] / 32_768


def is_loop(heard: np.ndarray, loop: np.ndarray, origin: int) -> np.ndarray:
    """For each sample heard, whether it is the loop's, `origin` being the first's place in it."""
    return np.abs(heard - looped(loop, origin, len(heard))) < NOISE_FLOOR


def stretches(heard: np.ndarray, loops: list[np.ndarray], origin: int) -> list[tuple]:
    """(loop, first sample, end) of each stretch of 20 ms or more that is one loop in phase."""
    found = []
    for index, loop in enumerate(loops):
        same = np.concatenate([[False], is_loop(heard, loop, origin), [False]])
        edges = np.flatnonzero(np.diff(same.astype(int))).reshape(-1, 2)
        found += [(index, *edge) for edge in edges if np.diff(edge)[0] > SAMPLE_RATE // 50]
    return sorted(found, key=lambda stretch: stretch[1])


def which_of_two(heard: np.ndarray, loops: list[np.ndarray], origin: int) -> list[int]:
    """The order in which two loops take turns, in phase, where one can be told from the other."""
    first, second = (is_loop(heard, loop, origin) for loop in loops)
    told = (first ^ second).nonzero()[0]
    assert len(told) > 0.5 * len(heard), "the loops are too alike"
    turns = np.split(first[told], 1 + np.flatnonzero(np.diff(first[told])))
    long = [turn for turn in turns if len(turn) > SAMPLE_RATE // 100]
    return [0 if turn[0] else 1 for turn in long]


def field(page: Page) -> tuple[float, float, float]:
    """Left, width and middle height of the strip's scale, on the screen."""
    box = page.locator(".marks").first.bounding_box()
    return box["x"], box["width"], box["y"] + box["height"] / 2


def drag(tape: Tape, shares: list[float], pause_seconds: float) -> None:
    """Hold the strip at the first share of its length, move on to the others, and let go."""
    page = tape.page
    left, width, middle = field(page)
    page.mouse.move(left + shares[0] * width, middle)
    page.mouse.down()
    for share in shares[1:]:
        tape.wait(pause_seconds)
        page.mouse.move(left + share * width, middle)
    tape.wait(pause_seconds)
    page.mouse.up()


def record(page: Page) -> Tape:
    """Record what plays, from when it is heard."""
    wait_for_state(page, "now.elapsedSeconds > 0")
    tape = Tape(page)
    tape.wait(0.3)
    return tape


@showing("noise")
@in_real_time
def test_dragging_the_strip_changes_the_loop_at_once_in_phase_without_a_click(page: Page) -> None:
    wait_until_ahead(page, 7)
    play(page)
    tape = record(page)
    drag(tape, [0, 1 / 6, 2 / 6, 5 / 6, 1], 0.15)
    tape.wait(0.2)
    heard = tape.stop()

    loops = [noise_loop(index, round(LOOP_SECONDS * SAMPLE_RATE)) for index in range(7)]
    origin = origin_of(loops[0], heard[: SAMPLE_RATE // 5])
    found = stretches(heard, loops, origin)
    assert [index for index, *_ in found] == [0, 1, 2, 5, 6]
    gaps = [(end, start) for (_, _, end), (_, start, _) in pairwise(found)]
    steepest = max(np.abs(np.diff(loop)).max() for loop in loops)
    for end, start in gaps:
        assert start - end < FADE_SECONDS * SAMPLE_RATE
        assert np.abs(np.diff(heard[end - 2 : start + 2])).max() < 2 * steepest
    moves = [tape.moves[tape.moves < end].max() for end, _ in gaps]
    seconds = (np.array([end for end, _ in gaps]) - moves) / SAMPLE_RATE
    print(f"from move to changed sound: {np.round(1000 * seconds, 1)} ms")
    assert np.median(seconds) < allowed(MOVE_TO_SOUND_SECONDS) + BLOCK_SAMPLES / SAMPLE_RATE


@showing("noise")
@in_real_time
def test_a_fast_sweep_over_the_strip_leaves_no_gap_and_ends_where_it_ends(page: Page) -> None:
    wait_until_ahead(page, 7)
    play(page)
    tape = record(page)
    drag(tape, list(np.linspace(0, 1, 60)), 0.002)
    tape.wait(0.3)
    heard = tape.stop()

    loops = [noise_loop(index, round(LOOP_SECONDS * SAMPLE_RATE)) for index in range(7)]
    origin = origin_of(loops[0], heard[: SAMPLE_RATE // 5])
    assert is_loop(heard, loops[6], origin)[-SAMPLE_RATE // 10 :].all()
    steepest = max(np.abs(np.diff(loop)).max() for loop in loops)
    assert np.abs(np.diff(heard)).max() < 2 * steepest
    assert faintest(heard) > 0.25 * min(map(faintest, loops))


@showing("noise")
@in_real_time
def test_a_loop_that_the_browser_was_told_of_too_late_is_put_in_phase(page: Page) -> None:
    wait_until_ahead(page, 7)
    play(page)
    tape = record(page)
    page.evaluate(_LATE_ONCE)
    page.locator(".field").focus()
    page.keyboard.press("End")
    tape.wait(0.3)
    heard = tape.stop()
    assert page.evaluate("window.wasLate")
    loops = [noise_loop(index, round(LOOP_SECONDS * SAMPLE_RATE)) for index in (0, 6)]
    origin = origin_of(loops[0], heard[: SAMPLE_RATE // 5])
    assert is_loop(heard, loops[1], origin)[-SAMPLE_RATE // 10 :].all()


def faintest(sound: np.ndarray, seconds: float = 0.02) -> float:
    """The least power of any stretch of that length."""
    n = round(seconds * SAMPLE_RATE)
    return float(np.convolve(sound**2, np.full(n, 1 / n), "valid").min())


@showing("strip", "pad", pytest.param("real", marks=needs_model))
def test_the_morph_is_wholly_decoded_soon_and_the_one_before_is_freed(page: Page) -> None:
    places = len(card(page)["morph"]["places"])
    wait_until_ahead(page, places)
    before = card(page)["morph"]["places"][0]["sound"]
    start = time.monotonic()
    page.get_by_role("spinbutton").fill("121")
    page.keyboard.press("Enter")
    wait_for_state(page, f"now.cards[0].morph.places[0].sound !== {before!r}")
    wait_until_ahead(page, places)
    seconds = time.monotonic() - start
    print(f"{places} new loops decoded {seconds:.2f} s after a change of tempo")
    different = len({place["sound"] for place in card(page)["morph"]["places"]})
    assert state(page)["held"] == {"files": different, "buffers": different}
    assert seconds < allowed(AHEAD_SECONDS)


@showing("strip")
def test_the_strip_moves_by_keys_and_tells_python_once_it_is_let_go(page: Page) -> None:
    page.locator(".field").evaluate(
        _PRESS_AT_ONCE, ["ArrowRight", "ArrowRight", "End", "ArrowLeft"]
    )
    wait_for_state(page, "now.cards[0].place === 31")
    assert wait_until_said(page, "move") == [["strip", [31 / 32, 0]]]
    slider = page.get_by_role("slider", name="Morph of strip")
    assert slider.get_attribute("aria-valuetext") == "97% of the way from Rock to Bossa"
    assert card(page)["shown"]["hits"] == card(page)["morph"]["places"][31]["hits"]


@showing("pad")
def test_the_pad_is_dragged_in_both_directions_and_saves_what_is_under_the_pointer(
    page: Page,
) -> None:
    wait_until_ahead(page, 25)
    box = page.locator(".marks").bounding_box()
    page.mouse.move(box["x"], box["y"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.77 * box["height"], steps=4)
    page.mouse.up()
    assert card(page)["place"] == 3 * 5 + 2
    assert wait_until_said(page, "move") == [["pad", [0.5, 0.75]]]
    hits = card(page)["shown"]["hits"]
    _, midi = download(page, page.get_by_text("MIDI"))
    assert read_midi(midi).groove.n_hits == len(hits)
    _, data = download(page, page.get_by_text("WAV"))
    pcm, rate = soundfile.read(io.BytesIO(data), dtype="int16")
    assert rate == SAMPLE_RATE
    np.testing.assert_array_equal(pcm[:, 0] / 32_768, loop_at(page, card(page)["shown"]["sound"]))


def cell(page: Page, step: float, voice: int) -> tuple[float, float]:
    """The middle of a cell of a groove of two bars on one line, on the screen."""
    box = page.locator(".card canvas").first.bounding_box()
    step_px = (box["width"] - 46) / (0.5 + 32 + 0.6)
    row_px = 22
    x = box["x"] + 46 + (step + 0.5 + 0.3) * step_px
    return x, box["y"] + 20 + (N_VOICES - 1 - voice + 0.5) * row_px


def free_step(hits: list[list[float]], voice: int) -> int:
    """A step in the second bar at which a voice and its neighbours rest."""
    taken = {step for step, row, *_ in hits if row == voice}
    return next(step for step in range(20, 31) if not taken & {step - 1, step, step + 1})


def wait_until_heard(page: Page, edited_in: int, was: str) -> str:
    """Wait until half a pass of an edited loop was heard; return its sound's address."""
    wait_for_state(page, f"now.cards[0].sound !== {was!r}")
    assert state(page)["passes"] < edited_in + 0.95, "too busy to render a loop within a pass"
    wait_for_state(page, f"now.passes > {edited_in + 1.5}")
    return card(page)["sound"]


@showing("edit")
@in_real_time
def test_a_click_sets_a_hit_that_sounds_from_the_next_pass_and_undo_takes_it_back(
    page: Page,
) -> None:
    before = card(page)["hits"]
    sound = card(page)["sound"]
    old = loop_at(page, sound)
    step = free_step(before, SNARE)
    play(page)
    tape = record(page)
    page.mouse.click(*cell(page, step, SNARE))
    after = card(page)["shown"]["hits"]
    assert [hit[:2] for hit in after if hit not in before] == [[step, SNARE]]
    edited = wait_until_heard(page, 0, sound)
    new = loop_at(page, edited)
    page.keyboard.press("Control+z")
    assert card(page)["shown"]["hits"] == before
    wait_until_heard(page, 1, edited)
    heard = tape.stop()

    origin = origin_of(old, heard[: SAMPLE_RATE // 5])
    first, second = len(old) * np.arange(1, 3) - origin
    fade = round(FADE_SECONDS * SAMPLE_RATE)
    snare_at = step * len(old) // 32
    assert is_loop(new, old, 0)[: snare_at - 1].all()
    assert not is_loop(new, old, 0)[snare_at : snare_at + 2000].all()
    assert is_loop(heard[:first], old, origin).all()
    assert is_loop(heard[first + fade : second], new, fade).all()
    assert is_loop(heard[second + fade :], old, fade).all()
    assert [hits for _, hits in wait_until_said(page, "edit", 2)] == [len(after), len(before)]


@showing("edit")
def test_a_hit_is_dragged_louder_and_later_and_python_hears_of_it(page: Page) -> None:
    hit = next(hit for hit in card(page)["hits"] if hit[1] == CLOSED_HAT and 0.2 < hit[2] < 0.7)
    step, _, velocity, offset = hit
    x, y = cell(page, step + offset, CLOSED_HAT)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - 22, steps=5)
    assert "velocity" in page.locator(".bubble").inner_text()
    page.mouse.up()
    louder = find(card(page)["shown"]["hits"], step)
    assert louder[2] == pytest.approx(velocity + 22 / 110, abs=0.01)
    assert louder[3] == offset
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 400, y, steps=5)
    page.mouse.up()
    assert find(card(page)["shown"]["hits"], step)[3] == 0.499
    wait_until_said(page, "edit")
    wait_for_state(page, "now.cards[0].revision === 2")
    assert find(card(page)["hits"], step)[3] == 0.499


def find(hits: list[list[float]], step: int) -> list[float]:
    return next(hit for hit in hits if hit[:2] == [step, CLOSED_HAT])


@showing("edit")
def test_the_grid_is_edited_by_keys_alone(page: Page) -> None:
    canvas = page.locator(".card canvas").first
    canvas.focus()
    before = card(page)["hits"]
    free = min(set(range(32)) - {step for step, row, *_ in before if row == SNARE})
    page.keyboard.press("ArrowUp")
    for _ in range(free):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    added = next(hit for hit in card(page)["shown"]["hits"] if hit[:2] == [free, SNARE])
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Shift+ArrowLeft")
    moved = next(hit for hit in card(page)["shown"]["hits"] if hit[:2] == [free, SNARE])
    assert moved[2] == pytest.approx(added[2] - 6 / 127, abs=1e-3)
    assert moved[3] == -0.05
    assert "5% early" in page.locator(".announcement").inner_text()
    for _ in range(3):
        page.keyboard.press("Control+z")
    assert card(page)["shown"]["hits"] == before
    page.keyboard.press("Control+Shift+Z")
    assert len(card(page)["shown"]["hits"]) == len(before) + 1


@showing("edit")
@in_real_time
def test_a_muted_voice_is_gone_within_the_pass_and_comes_back_in_phase(page: Page) -> None:
    hits, sound = card(page)["hits"], card(page)["sound"]
    whole = loop_at(page, sound)
    play(page)
    tape = record(page)
    page.get_by_role("button", name="Mute kick").click()
    wait_for_state(page, f"now.cards[0].sound !== {sound!r}")
    without = loop_at(page, card(page)["sound"])
    wait_for_state(page, "now.held.buffers === 1")
    tape.wait(0.3)
    muted_at = len(tape.stop())
    print(f"a voice was muted by pass {state(page)['passes']:.2f}")
    assert state(page)["passes"] < allowed(1)
    page.get_by_role("button", name="Mute kick").click()
    wait_for_state(page, f"now.cards[0].sound === {sound!r}")
    wait_for_state(page, "now.held.buffers === 1")
    tape.wait(0.4)
    heard = tape.stop()

    kick = min(step for step, row, *_ in hits if row == KICK) * len(whole) // 32
    assert not is_loop(without, whole, 0)[kick : kick + 2000].all()
    origin = origin_of(whole, heard[: SAMPLE_RATE // 5])
    tenth = SAMPLE_RATE // 10
    assert is_loop(heard, whole, origin)[:tenth].all()
    assert is_loop(heard, without, origin)[muted_at - tenth : muted_at].all()
    assert is_loop(heard, whole, origin)[-tenth:].all()
    assert wait_until_said(page, "mix", 2) == [[[KICK], [], 1], [[], [], 1]]


@showing("edit")
def test_a_soloed_voice_is_heard_alone_and_the_label_mutes(page: Page) -> None:
    page.get_by_role("button", name="Solo snare").click()
    assert wait_until_said(page, "mix")[-1] == [[], [SNARE], 1]
    box = page.locator(".card canvas").first.bounding_box()
    page.mouse.click(box["x"] + 10, cell(page, 0, KICK)[1])
    assert wait_until_said(page, "mix", 2)[-1] == [[KICK], [SNARE], 1]
    page.get_by_role("button", name="All voices").click()
    assert wait_until_said(page, "mix", 3)[-1] == [[], [], 1]


@showing("edit")
@in_real_time
def test_the_volume_is_heard_at_once_and_kept(page: Page) -> None:
    loop = loop_at(page, card(page)["sound"])
    play(page)
    tape = record(page)
    slider = page.get_by_role("slider", name="Volume")
    slider.focus()
    for _ in range(50):
        page.keyboard.press("ArrowLeft")
    wait_for_state(page, "now.mix.volume === 0.5")
    tape.wait(0.6)
    heard = tape.stop()
    origin = origin_of(loop, heard[: SAMPLE_RATE // 5])
    tail = looped(loop, origin, len(heard))[-SAMPLE_RATE // 4 :]
    np.testing.assert_allclose(heard[-SAMPLE_RATE // 4 :], 0.25 * tail, atol=2e-3)
    page.get_by_text('["mix", [], [], 0.5]').wait_for()


@showing("compare")
@in_real_time
def test_before_and_after_change_places_in_phase(page: Page) -> None:
    play(page)
    shown = card(page)
    loops = [loop_at(page, sound) for sound in (shown["sound"], shown["before"]["sound"])]
    wait_for_state(page, "now.held.buffers === 2")
    tape = record(page)
    for name in ("Before", "After"):
        page.get_by_role("button", name=name, exact=True).click()
        tape.wait(0.7)
    heard = tape.stop()
    origin = origin_of(loops[0], heard[: SAMPLE_RATE // 4])
    assert which_of_two(heard, loops, origin) == [0, 1, 0]


@showing("long")
@in_real_time
def test_a_bar_loops_alone_and_then_the_whole_goes_on(page: Page) -> None:
    whole = loop_at(page, card(page)["sound"])
    bar_samples = len(whole) // 16
    play(page)
    number = page.get_by_role("button", name="Loop bar 3 alone")
    number.click()
    wait_for_state(page, "now.cards[0].bar === 2 && now.loopSeconds === 2")
    tape = record(page)
    tape.wait(2.5)
    heard = tape.stop()
    bar = whole[2 * bar_samples : 3 * bar_samples]
    origin = origin_of(bar, heard[:bar_samples])
    same = is_loop(heard, bar, origin)
    place = (origin + np.arange(len(heard))) % bar_samples
    clear = place < bar_samples * 31 / 32 - 0.01 * SAMPLE_RATE - 1
    assert same[clear].all()
    assert wait_until_said(page, "bar") == [["long", 2]]
    page.get_by_role("button", name="Loop the whole again").click()
    wait_for_state(page, "now.cards[0].bar === null && now.loopSeconds === 32")
    assert 2 / 16 <= state(page)["phase"] < 4 / 16


@showing("long")
def test_long_grooves_wrap_and_stay_legible_on_a_phone(page: Page) -> None:
    canvas = page.locator(".card canvas").first
    wide = canvas.bounding_box()
    page.set_viewport_size({"width": 390, "height": 844})
    until(lambda: canvas.bounding_box()["width"] < 390 < wide["width"], "a narrow picture")
    until(lambda: canvas.bounding_box()["height"] > 1.8 * wide["height"], "more lines")
    overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert overflow <= 0
    assert page.locator(".number").count() == 16


@showing("strip")
def test_a_card_is_sent_elsewhere_from_its_menu(page: Page) -> None:
    page.get_by_role("button", name="Send strip to another page").click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert wait_until_said(page, "send") == [["strip", "map"]]
    assert page.get_by_role("menu").count() == 0


@showing("edit")
def test_a_finger_sets_a_hit_and_drags_another(address: str, browser: Browser, page: Page) -> None:
    options = {"has_touch": True, "viewport": {"width": 390, "height": 844}}
    with opened(browser, f"{address}?show=edit", **options) as phone:
        before = card(phone)["hits"]
        canvas: Locator = phone.locator(".card canvas").first
        box = canvas.bounding_box()
        phone.touchscreen.tap(box["x"] + box["width"] - 30, box["y"] + 20 + 4.5 * 22)
        until(lambda: len(card(phone)["shown"]["hits"]) == len(before) + 1, "a hit more")
