"""What pages share: choosing a groove, uploads, favourites, sending, undo and share codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fake_studio import FakeStudio
from midi_builders import KICK_PITCH, TICKS_PER_BAR, drum_file, end, midi_file, name, note, track
from page_driver import newest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Selectbox
from tiny_data import drummed_groove

from musicvae_core.errors import CheckpointError
from musicvae_core.music.drums import KICK, RIDE
from musicvae_core.music.groove import Groove
from musicvae_core.music.midi.read import read_midi
from musicvae_core.music.midi.write import write_midi
from musicvae_core.music.share import Shared, read_share_code, write_share_code
from pages.shared.collection import as_long_as, bars_phrase, fingerprint, first_lively_window

APP = Path(__file__).parent / "groove_app.py"
KEY = "attributes.groove"


@pytest.fixture
def app(studio: FakeStudio) -> AppTest:
    return AppTest.from_file(str(APP), default_timeout=30).run()


def texts_of(app: AppTest) -> dict:
    """Return the texts of the page by name."""
    assert not app.exception
    return {name: what for text in app.text for name, what in json.loads(text.value).items()}


def press(app: AppTest, key: str) -> dict:
    return texts_of(app.button(key=key).click().run())


def groove_of(seed: int, n_bars: int = 2, tempo_bpm: float = 97.0) -> Groove:
    return drummed_groove(np.random.default_rng(seed), n_bars, tempo_bpm)


def upload(app: AppTest, **files: bytes) -> dict:
    """Drop files, named without their ending, on the slot's field."""
    dropped = [(f"{stem}.mid", data, "audio/midi") for stem, data in files.items()]
    [field] = app.file_uploader
    return texts_of(field.set_value(dropped).run())


def choice(app: AppTest, key: str = KEY) -> Selectbox:
    return newest(app.selectbox, f"{key}.choice")


def choices(app: AppTest) -> list[str]:
    return choice(app).options


def tracks_without_drums() -> bytes:
    first = track(name("Bass"), note(0, KICK_PITCH, channel=0), end(TICKS_PER_BAR))
    second = track(name("Pads"), note(0, 38, channel=1), note(480, 42, channel=1), end(480))
    return midi_file(first, second)


def test_a_first_visit_finds_a_demo_groove_and_a_choice_of_them(app: AppTest) -> None:
    assert texts_of(app)["name"] == "Rock"
    assert len(choices(app)) >= 12
    assert "Bossa · demo" in choices(app)
    choice(app).select_index(choices(app).index("Bossa · demo")).run()
    assert texts_of(app)["name"] == "Bossa"


def test_an_upload_takes_the_slot_and_stays_on_offer(app: AppTest) -> None:
    data = write_midi(groove_of(1))
    now = upload(app, mine=data)
    assert (now["name"], now["origin"], now["bars"]) == ("mine", "upload", 2)
    assert now["tempo"] == pytest.approx(97, abs=0.01)
    assert now["first"] == np.argwhere(read_midi(data).groove.hits)[:5].tolist()
    assert "notes read" in app.caption[0].value
    assert choices(app)[0] == "mine · upload"
    assert app.file_uploader[0].value == []
    assert press(app, "to groove_lab")["name"] == "mine"


def test_files_of_one_name_are_told_apart_and_undo_brings_back_the_first(app: AppTest) -> None:
    first, second = (write_midi(groove_of(seed)) for seed in (1, 2))
    was = upload(app, verse=first)
    now = upload(app, verse=second)
    assert now["first"] != was["first"]
    assert choices(app)[:2] == ["verse · upload (2)", "verse · upload"]
    choice(app).select("verse · upload").run()
    assert texts_of(app)["first"] == was["first"]
    choice(app).select("verse · upload (2)").run()
    assert texts_of(app)["first"] == now["first"]


def test_a_file_s_name_is_shown_as_it_is(app: AppTest) -> None:
    upload(app, **{"**x** `y` $z$ :red[w] <b>": b"no midi"})
    [error] = app.error
    assert r"\*\*x\*\* \`y\` \$z\$ \:red\[w\] \<b\>.mid: This is not" in error.value.replace(
        "\N{WORD JOINER}", ""
    )


def test_several_files_at_once_and_bad_ones_are_named_with_the_reason(app: AppTest) -> None:
    now = upload(
        app, first=write_midi(groove_of(1)), bad=b"no midi", second=write_midi(groove_of(2))
    )
    assert now["name"] == "first"
    assert choices(app)[:2] == ["first · upload", "second · upload"]
    [error] = app.error
    assert "bad.mid: This is not a MIDI file." in error.value
    assert "first" not in error.value
    press(app, f"{KEY}.upload.dismiss")
    assert not app.error
    upload(app, worse=b"")
    upload(app, third=write_midi(groove_of(3)))
    assert not app.error


def test_each_bad_file_has_its_own_reason(app: AppTest) -> None:
    empty = midi_file(track(end(10)))
    upload(app, one=b"", two=empty, three=b"MThd" + b"\xff" * 3_000_000)
    lines = app.error[0].value.splitlines()
    assert [line.split(":")[0] for line in lines] == ["- one.mid", "- two.mid", "- three.mid"]
    assert len({line.split(":")[1] for line in lines}) == 3
    assert texts_of(app)["name"] == "Rock"


def test_a_file_without_drums_offers_its_tracks(app: AppTest) -> None:
    now = upload(app, song=tracks_without_drums(), fine=write_midi(groove_of(1)))
    assert now["name"] == "fine"
    assert "song.mid" in app.warning[0].value
    tracks = app.multiselect(key=f"{KEY}.upload.track.0")
    assert tracks.options == ["Bass", "Pads"]
    tracks.set_value(["Pads"]).run()
    now = press(app, f"{KEY}.upload.read.0")
    assert now["name"] == "song"
    assert now["first"] == [[0, 1], [4, 2], [16, 1], [20, 2]]
    assert not app.warning


def test_uploads_are_read_by_the_drum_map_that_was_chosen(app: AppTest) -> None:
    beat = drum_file(note(0, KICK_PITCH), *(note(240, pitch) for pitch in (62, 63, 62)))
    assert len(upload(app, beat=beat)["first"]) == 2
    assert "EZdrummer and Superior Drummer" in app.caption[0].value
    drum_map = app.selectbox(key=f"{KEY}.upload.map.name")
    drum_map.select("EZdrummer and Superior Drummer").run()
    assert len(upload(app, beat_by_map=beat)["first"]) == 5
    press(app, "to groove_lab")
    press(app, "to attributes")
    assert app.selectbox(key=f"{KEY}.upload.map.name").value == "EZdrummer and Superior Drummer"


def edited_map() -> None:
    import streamlit as st

    from musicvae_core.music.midi.maps import STANDARD
    from pages.shared.uploads import _chosen_map, _draw_map_choice, _edit, _TableEdits

    edits = {62: {"Drum": "ride"}, 54: {"Drum": "left out"}, 300: {"Drum": "kick"}}
    if st.button("Edit"):
        _edit(dict(STANDARD.voices), _TableEdits(edited_rows=edits))
    if st.button("Nonsense"):
        _edit(dict(STANDARD.voices), _TableEdits(edited_rows={36: {"Drum": "harp"}}))
    _draw_map_choice("map")
    voices = _chosen_map().voices if _chosen_map() else {}
    st.text(f"{voices.get(62)} {voices.get(54)} {voices.get(36)} {voices.get(300)}")


def test_an_edited_table_is_a_map_of_ones_own_that_the_choice_shows() -> None:
    app = AppTest.from_function(edited_map).run()
    assert app.text[0].value == "None None None None"
    app.button[0].click().run()
    assert app.text[0].value == f"{RIDE} None {KICK} None"
    assert app.selectbox[0].value == "My own"
    app.toggle[0].set_value(True).run()
    assert not app.exception
    app.selectbox[0].select("Logic").run()
    assert app.text[0].value == f"None None {KICK} None"
    app.selectbox[0].select("My own").run()
    assert app.text[0].value == f"{RIDE} None {KICK} None"
    app.button[1].click().run()
    assert app.text[0].value.endswith(f"{KICK} None")


def test_a_longer_file_is_windows_to_choose_from_with_the_reason(app: AppTest) -> None:
    quiet_start = Groove.joined([Groove.silent(1, 97), groove_of(1, 4)])
    now = upload(app, long=write_midi(quiet_start))
    assert (now["name"], now["bars"]) == ("long, bars 1-2", 2)
    assert "long has 4 bars; the model takes 2" in app.caption[0].value
    assert "It starts at bar 2." in app.caption[0].value
    window = app.select_slider[0]
    assert window.options == [f"bars {bar}-{bar + 1}" for bar in range(1, 4)]
    now = texts_of(window.set_value(2).run())
    assert now["name"] == "long, bars 3-4"
    expected = read_midi(write_midi(quiet_start)).groove.bars(3, 2)
    assert now["first"] == np.argwhere(expected.hits)[:5].tolist()
    press(app, "to groove_lab")
    now = press(app, "to attributes")
    assert now["name"].startswith("long, bars 3-4")


def test_a_page_that_takes_any_length_gets_the_whole_file(app: AppTest) -> None:
    press(app, "to groove_lab")
    [field] = app.file_uploader
    field.set_value([("long.mid", write_midi(groove_of(1, 5)), "audio/midi")]).run()
    assert texts_of(app)["bars"] == 5
    assert not app.select_slider


def test_a_shorter_file_is_repeated_or_padded_and_said_so(app: AppTest) -> None:
    now = upload(app, short=write_midi(groove_of(1, 1)))
    assert now["bars"] == 2
    assert "short has 1 bar; the model takes 2: it is repeated" in app.caption[0].value
    filling = app.segmented_control[0]
    filling.set_value("silence").run()
    assert texts_of(app)["bars"] == 2
    assert "silence follows" in app.caption[0].value


def test_a_fresh_sample_brings_its_code(app: AppTest, studio: FakeStudio) -> None:
    now = press(app, f"{KEY}.sample")
    assert (now["origin"], now["has_z"]) == ("sample", True)
    first = now["name"]
    assert press(app, f"{KEY}.sample")["name"] != first
    studio.error = CheckpointError("The model is gone: bring it back.")
    now = press(app, f"{KEY}.sample")
    assert [error.value for error in app.error] == ["The model is gone: bring it back."]


def test_undo_brings_back_the_groove_from_before_also_after_a_change_of_page(app: AppTest) -> None:
    assert app.button(key="undo").disabled
    upload(app, one=write_midi(groove_of(1)))
    upload(app, two=write_midi(groove_of(2)))
    press(app, "to groove_lab")
    assert app.button(key="undo").disabled is False  # Rock stood there before
    choice(app, "groove_lab.groove").select_index(3).run()
    assert press(app, "to attributes")["page"] == "attributes"
    assert press(app, "undo")["name"] == "two"
    assert press(app, "undo")["name"] == "one"
    assert press(app, "undo")["name"] == "Rock"
    assert app.button(key="undo").disabled


def test_two_clicks_on_undo_before_an_answer_are_two_steps_back(app: AppTest) -> None:
    for groove in ("Bossa · demo", "Funk · demo", "Shuffle · demo"):
        choice(app).select(groove).run()
    assert texts_of(app)["name"] == "Shuffle"
    undo, shown = app.button(key="undo"), choice(app)
    shown.set_value(shown.value)  # all that the browser knows of until it is answered
    undo.click().run()
    undo.click().run()
    assert texts_of(app)["name"] == "Bossa"
    choice(app).select("Rock · demo").run()
    assert press(app, "undo")["name"] == "Bossa"


def test_the_choice_stays_the_same_while_it_is_made_and_is_another_when_it_was_not(
    app: AppTest,
) -> None:
    first = choice(app)
    first.select("Bossa · demo").run()
    assert choice(app).id == first.id, "it would lose the focus"
    press(app, f"{KEY}.sample")
    assert choice(app).id != first.id, "what the browser still says of the old would be a choice"
    assert choice(app).value.startswith("sample/")


def test_a_star_lasts_through_pages_and_is_offered_on_all(app: AppTest) -> None:
    upload(app, mine=write_midi(groove_of(1)))
    assert press(app, "star")["favourites"] == ["mine"]
    assert choices(app)[0] == "★ mine"
    now = press(app, "to groove_lab")
    assert now["favourites"] == ["mine"]
    options = choice(app, "groove_lab.groove")
    assert "★ mine" in options.options
    options.select("★ mine").run()
    assert texts_of(app)["origin"] == "favourite"
    assert press(app, "star")["favourites"] == []
    assert texts_of(app)["name"] == "mine"


def test_only_pages_that_are_there_are_destinations(app: AppTest) -> None:
    keys = [button.key for button in app.button if button.key.startswith("to ")]
    assert keys == ["to groove_lab", "to share"]


def test_a_share_code_restores_groove_model_tempo_and_kit(app: AppTest) -> None:
    groove = groove_of(5, 2, 133)
    code = write_share_code(Shared(groove, "drums_2bar", "jazz", "Midnight Room"))
    app.text_input(key=f"{KEY}.code").set_value(code).run()
    now = texts_of(app)
    assert (now["name"], now["origin"], now["tempo"]) == ("Midnight Room", "code", 133)
    assert now["first"] == np.argwhere(groove.hits)[:5].tolist()
    assert app.selectbox(key="model").value == "drums_2bar"
    assert app.session_state["kept.kit"] == "jazz"
    assert app.text_input(key=f"{KEY}.code").value == ""


def test_a_shared_code_is_shown_and_reads_back(app: AppTest) -> None:
    upload(app, mine=write_midi(groove_of(1)))
    before = texts_of(app)
    app.selectbox(key="model").set_value("drums_2bar").run()
    app.session_state["kept.kit"] = "jazz"
    app.run()
    press(app, "to share")
    [code] = app.code
    shared = read_share_code(code.value)
    assert (shared.model, shared.kit) == ("drums_2bar", "jazz")
    press(app, f"{KEY}.sample")
    assert not app.code
    app.text_input(key=f"{KEY}.code").set_value(code.value).run()
    now = texts_of(app)
    assert now["first"] == before["first"]
    assert now["tempo"] == pytest.approx(before["tempo"], abs=0.001)


def test_a_bad_share_code_is_one_sentence_and_changes_nothing(app: AppTest) -> None:
    app.text_input(key=f"{KEY}.code").set_value("gs1.nonsense").run()
    assert "damaged or incomplete" in app.error[0].value
    assert texts_of(app)["name"] == "Rock"
    unknown = write_share_code(Shared(groove_of(1), "their_model", "their kit"))
    app.text_input(key=f"{KEY}.code").set_value(unknown).run()
    assert not app.error
    assert app.selectbox(key="model").value == "groove_2bar"
    assert "kept.kit" not in app.session_state


def test_a_groove_is_itself_at_another_tempo_and_through_midi() -> None:
    groove = groove_of(1)
    assert fingerprint(groove) == fingerprint(groove.at_tempo(200))
    assert fingerprint(groove) == fingerprint(read_midi(write_midi(groove, loop=True)).groove)
    louder = np.clip(groove.velocities + 1 / 127, 0, 1)
    other = Groove.from_hits(groove.hits, louder, groove.offsets, groove.tempo_bpm)
    assert fingerprint(groove) != fingerprint(other)


def test_a_groove_of_any_length_is_made_to_fit() -> None:
    quiet = Groove.silent(2, 97)
    busy = groove_of(1, 2)
    assert as_long_as(Groove.joined([quiet, busy]), 2).n_hits >= busy.n_hits / 2
    assert as_long_as(busy, 2) == busy
    assert as_long_as(busy, 16).n_bars == 16
    late = Groove.joined([quiet, busy, quiet])
    starts = [first_lively_window(late.windows(n_bars)) for n_bars in (1, 2, 4, 6)]
    assert starts == [2, 1, 0, 0]
    assert first_lively_window(quiet.windows(1)) == 0
    assert [bars_phrase(2, 1), bars_phrase(2, 2)] == ["bar 3", "bars 3-4"]
