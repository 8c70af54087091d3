"""Share codes: exact to the tick and the 127th, and refusing nonsense by name."""

import base64
import zlib

import numpy as np
import pytest
from tiny_data import drummed_groove, random_groove

from musicvae_core.errors import ShareCodeError
from musicvae_core.music.grid import COMMON_TIME, VELOCITY_LEVELS
from musicvae_core.music.groove import Groove
from musicvae_core.music.midi.read import read_midi
from musicvae_core.music.midi.write import write_midi
from musicvae_core.music.share import (
    _MAX_BARS,
    _MAX_NAME_BYTES,
    _WITH_GRID,
    MAX_CODE_LENGTH,
    Shared,
    read_share_code,
    write_share_code,
)

TICKS_PER_STEP = COMMON_TIME.ticks_per_step


def whole(array, scale):
    return np.rint(np.asarray(array, np.float64) * scale).astype(int)


def assert_same_music(one: Groove, other: Groove) -> None:
    np.testing.assert_array_equal(one.hits, other.hits)
    for name, scale in (("velocities", VELOCITY_LEVELS), ("offsets", TICKS_PER_STEP)):
        np.testing.assert_array_equal(
            whole(getattr(one, name), scale), whole(getattr(other, name), scale)
        )
    assert one.tempo_bpm == pytest.approx(other.tempo_bpm, abs=0.0005)


@pytest.fixture
def code():
    groove = drummed_groove(np.random.default_rng(3), 2, 93.5)
    return write_share_code(Shared(groove, "groove_2bar", "Standard"))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("n_bars", [1, 2, 16])
def test_a_round_trip_is_exact(seed, n_bars):
    rng = np.random.default_rng(seed)
    groove = random_groove(rng, n_bars, round(float(rng.uniform(20, 400)), 3))
    shared = read_share_code(write_share_code(Shared(groove, "groove_2bar", "TR-808")))
    assert_same_music(shared.music, groove)
    assert (shared.model, shared.kit) == ("groove_2bar", "TR-808")


def test_share_codes_and_midi_files_hold_the_same_notes():
    groove = drummed_groove(np.random.default_rng(4), 2)
    read = read_share_code(write_share_code(Shared(groove))).music
    assert_same_music(read_midi(write_midi(read)).groove, read_midi(write_midi(groove)).groove)


@pytest.mark.parametrize(
    "groove",
    [
        Groove.silent(1),
        Groove.silent(_MAX_BARS, 400),
        Groove.from_hits(np.ones((32, 9), bool), 1.0, -0.5, 20),
        Groove.from_hits(np.ones((32, 9), bool), 1 / 127, 59 / 120),
        Groove.from_hits(np.ones((16, 9), bool), 0.0001, 0.4999),
    ],
    ids=["silence", "long silence", "loud and early", "soft and late", "beyond the levels"],
)
def test_names_at_the_limit_are_kept_whole(groove):
    read = read_share_code(write_share_code(Shared(groove, "ü" * 30, "")))
    assert (read.model, read.kit) == ("ü" * 30, "")
    np.testing.assert_array_equal(read.music.hits, groove.hits)
    assert_same_music(read_share_code(write_share_code(read)).music, read.music)


def test_a_code_is_short(code):
    assert len(code) < 260
    plain = drummed_groove(np.random.default_rng(3), 2)
    assert len(write_share_code(Shared(Groove.from_hits(plain.hits), "drums_2bar"))) < 90


def test_line_breaks_and_spaces_do_not_matter(code):
    broken = "\n ".join(code[at : at + 20] for at in range(0, len(code), 20))
    assert_same_music(read_share_code(f"  {broken}\r\n").music, read_share_code(code).music)


def test_every_changed_letter_is_noticed(code):
    for at in range(4, len(code) - 1):  # the last letter has bits that mean nothing
        letter = "A" if code[at] != "A" else "B"
        with pytest.raises(ShareCodeError):
            read_share_code(code[:at] + letter + code[at + 1 :])


def test_every_cut_is_noticed(code):
    for end in range(len(code)):
        with pytest.raises(ShareCodeError):
            read_share_code(code[:end])


@pytest.mark.parametrize(
    "text",
    ["", " ", "hello", "gs1", "gs1.", "gs1.!!!!", "gs1.AAAA", "gsx.AAAA", "gs².AAAA", "é", "gs.A"],
)
def test_invalid_values_are_refused_by_name(text):
    with pytest.raises(ShareCodeError, match=r"share code|copy"):
        read_share_code(text)


def test_a_later_version_is_named(code):
    with pytest.raises(ShareCodeError, match="later version"):
        read_share_code(f"gs{_WITH_GRID + 1}.{code[4:]}")
    with pytest.raises(ShareCodeError):
        read_share_code(f"gs{'9' * 5000}.AAAA")


def sealed(packed: bytes) -> str:
    data = zlib.crc32(packed).to_bytes(4, "big") + packed
    return "gs1." + base64.urlsafe_b64encode(data).decode().rstrip("=")


def deflated(body: bytes) -> bytes:
    return b"\x01" + zlib.compress(body, 9, wbits=-15)


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\x02abc",
        b"\x00",
        deflated(b"\0" * 10_000_000)[: MAX_CODE_LENGTH // 2],
        deflated(b"\0" * 100_000),
        deflated(b"") + b"more",
        b"\x00\x00\x00\x01\xd4\xc0\x00\x00",  # no bars
        b"\x00\x41\x00\x01\xd4\xc0\x00\x00" + b"\0" * 2000,  # 65 bars
        b"\x00\x01\x00\x00\x00\x00\x00\x00" + b"\0" * 18 + b"\x01\x01",  # no tempo
        b"\x00\x01\x00\x01\xd4\xc0\xff\x00",  # a name that ends nowhere
        b"\x00\x01\x00\x01\xd4\xc0\x00\x00" + b"\xff" * 18 + b"\x00\xff\x00\x00",  # level 255
        b"\x00\x01\x00\x01\xd4\xc0\x00\x00" + b"\xff" * 18 + b"\x00\x7f\x00\x78",  # tick 60
        b"\x00\x01\x00\x01\xd4\xc0\x00\x00" + b"\xff" * 18 + b"\x00\x00\x00\x00",  # level 0
        b"\x00\x01\x00\x01\xd4\xc0\x00\x00" + b"\0" * 18 + b"\x01\x01more",
    ],
)
def test_invalid_contents_with_a_valid_checksum_are_refused(packed):
    with pytest.raises(ShareCodeError, match="damaged"):
        read_share_code(sealed(packed))


def test_overlong_codes_are_refused_unread(code):
    with pytest.raises(ShareCodeError, match="too long"):
        read_share_code(code * 1000)
    with pytest.raises(ShareCodeError, match=f"{_MAX_BARS + 1} bars"):
        write_share_code(Shared(Groove.silent(_MAX_BARS + 1)))
    with pytest.raises(ShareCodeError, match="name"):
        write_share_code(Shared(Groove.silent(1), "m" * 61))
    full = Groove.from_hits(
        np.ones((1024, 9), bool),
        np.random.default_rng(0).integers(1, 128, (1024, 9)) / 127,
        np.random.default_rng(1).integers(-60, 60, (1024, 9)) / 120,
    )
    with pytest.raises(ShareCodeError, match="fewer bars"):
        write_share_code(Shared(full))


def test_a_code_brings_the_name_of_its_groove() -> None:
    groove = Groove.silent(1)
    for name in ("Midnight Room", "", "é" * 200):
        read = read_share_code(write_share_code(Shared(groove, "groove_2bar", "Jazz", name)))
        assert name.startswith(read.name)
        assert len(read.name.encode()) == min(len(name.encode()), _MAX_NAME_BYTES)


def test_a_code_of_the_first_version_still_reads() -> None:
    first = "gs1.7sFQVAFjZGC8coA7vSg_vyw13igpsYjFK7GqqoGBgYGFAQWkMNgAAA"
    read = read_share_code(first)
    assert (read.model, read.kit, read.name) == ("groove_2bar", "Jazz", "")
    assert read.music.n_hits == 2
