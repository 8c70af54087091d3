"""What can be missing or broken: FluidSynth's library, the SoundFont, its kits."""

import sys
from pathlib import Path

import numpy as np
import pretty_midi
import pytest

from musicvae_core.errors import RenderError
from musicvae_core.music.drums import N_VOICES
from musicvae_core.music.groove import Groove
from musicvae_core.sound import render as render_module
from musicvae_core.sound.render import Renderer, _find_soundfont

SMALL_FONT = Path(pretty_midi.__file__).with_name("TimGM6mb.sf2")


@pytest.fixture(scope="module")
def library():
    """Skip where FluidSynth's library is absent."""
    try:
        Renderer(SMALL_FONT)
    except RenderError as error:
        pytest.skip(str(error))


def test_without_the_library_one_sentence_says_how_to_get_sound(monkeypatch):
    monkeypatch.setitem(sys.modules, "fluidsynth", None)  # makes the import fail
    with pytest.raises(RenderError, match="apt install libfluidsynth3"):
        Renderer(SMALL_FONT)


def test_soundfont_is_the_systems_else_the_small_one_else_a_sentence(monkeypatch, tmp_path):
    assert _find_soundfont().is_file()
    system = tmp_path / "system.sf2"
    system.write_bytes(b"")
    monkeypatch.setattr(render_module, "_SYSTEM_SOUNDFONTS", (str(system),))
    assert _find_soundfont() == system
    system.unlink()
    assert _find_soundfont() == SMALL_FONT
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RenderError, match=r"\.sf2"):
        _find_soundfont()


def without_drums(font):
    """Move every preset of bank 128 to bank 1: the header's records are 38 bytes, bank at 22."""
    patched = bytearray(font)
    start = font.index(b"phdr") + 8
    for record in range(start, start + int.from_bytes(font[start - 4 : start], "little"), 38):
        if patched[record + 22 : record + 24] == b"\x80\0":
            patched[record + 22 : record + 24] = b"\1\0"
    return bytes(patched)


def damaged_fonts():
    whole = SMALL_FONT.read_bytes()
    presets = whole.index(b"pdta") - 8
    return {
        "empty": b"",
        "text": b"this is not a SoundFont\n" * 100,
        "cut short": whole[: len(whole) // 2],
        "cut in the head": whole[:30],
        "cut but for its stated length": b"RIFF"
        + (999_992).to_bytes(4, "little")
        + whole[8 : 10**6],
        "without presets": b"RIFF" + (presets - 8).to_bytes(4, "little") + whole[8:presets],
        "without drums": without_drums(whole),
    }


@pytest.mark.parametrize("damage", sorted(damaged_fonts()))
def test_a_damaged_font_is_refused_quietly(library, tmp_path, capfd, damage):
    path = tmp_path / "font.sf2"
    path.write_bytes(damaged_fonts()[damage])
    with pytest.raises(RenderError, match=r"font\.sf2"):
        Renderer(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["missing.sf2", "."])
def test_a_missing_font_is_named(tmp_path, name):
    with pytest.raises(RenderError, match="no SoundFont"):
        Renderer(tmp_path / name)


def test_a_font_that_vanishes_is_an_error_not_a_crash(library, tmp_path):
    path = tmp_path / "font.sf2"
    path.write_bytes(SMALL_FONT.read_bytes())
    orphan = Renderer(path)
    path.unlink()
    with pytest.raises(RenderError, match="moved or changed"):
        orphan.render(Groove.from_hits(np.ones((16, N_VOICES))))
