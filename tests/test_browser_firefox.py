"""The first page in a stock Firefox: it sounds, takes an edit, and follows the transport."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import firefox
import pytest
from real_browser import faked

pytestmark = [pytest.mark.browser, faked]

AUDIBLE = 0.01
ENGINE = "window[Symbol.for('groove-space.engine')]"
STATE = "find('.deck').deck.state"
LOUDEST = f"""
(async () => {{
    const {{ analyser }} = {ENGINE};
    const samples = new Float32Array(analyser.fftSize);
    let peak = 0;
    for (const end = performance.now() + 1500; performance.now() < end; ) {{
        analyser.getFloatTimeDomainData(samples);
        peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), peak);
        await new Promise((resume) => setTimeout(resume, 10));
    }}
    return peak;
}})()
"""


@pytest.fixture
def tab(address: str, tmp_path: Path) -> Iterator[firefox.Firefox]:
    """The first page, with its cards and its kit."""
    with firefox.launched(tmp_path) as tab:
        tab.open(address)
        tab.wait_for(f"{ENGINE}.hasKit && {STATE}.cards.length === 8")
        tab.wait_for("find('[data-test-script-state=notRunning]') !== null")
        yield tab


def test_a_groove_sounds_takes_an_edit_and_follows_tempo_and_space(tab: firefox.Firefox) -> None:
    tab.click(".card .play")
    tab.wait_for(f"{STATE}.playing")
    assert tab.evaluate(LOUDEST) > AUDIBLE

    before = tab.evaluate(f"{STATE}.cards[0].shown.hits")
    tab.click(".card .edit")
    tab.click(".card canvas.editable")
    tab.wait_for(f"{STATE}.cards[0].revisions.edit === 1")  # Python has it
    assert tab.evaluate(f"{STATE}.cards[0].hits") != before
    assert tab.evaluate(f"{ENGINE}.now.pattern.hits") != before

    seconds = tab.evaluate(f"{ENGINE}.loopSeconds")
    tab.click(".transport .bpm")
    tab.press("ArrowUp")
    tab.press("Enter")  # leaves the field
    tab.wait_for(f"{ENGINE}.loopSeconds < {seconds}")

    tab.press("Space")
    tab.wait_for(f"!{STATE}.playing")
    tab.press("Space")
    tab.wait_for(f"{STATE}.playing")
    assert tab.evaluate(LOUDEST) > AUDIBLE
