"""The transport bar at the foot of every page: one clock, mixer and set of sounds for the app.

The browser side, in `assets/player`, plays notes with sounds that are sent once. Python keeps the
playback settings, for the files it writes and for page reloads.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, NamedTuple, Protocol

import numpy as np
import streamlit as st
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from streamlit.components.v1 import declare_component

from musicvae_core.data.files import file_stem, temporary_folder, write_content
from musicvae_core.errors import MusicVAEError
from musicvae_core.music.drums import N_VOICES, VOICE_OF_PITCH
from musicvae_core.music.forms import Music, form_of, parts_of, performed
from musicvae_core.music.grid import MAX_TEMPO_BPM, MIN_TEMPO_BPM
from musicvae_core.music.groove import Groove
from pages.shared.actions import (
    Flag,
    Name,
    Revision,
    Share,
    Voice,
    as_text,
    component,
    in_background,
    on_event,
)
from pages.shared.store import SessionVar, next_number

VOICE_LABELS = ("kick", "snare", "hat", "open", "low", "mid", "high", "crash", "ride")
"""Short names of `VOICES`, in their order."""

_MIXED_LINES = 4
_N_CHANNELS = N_VOICES + _MIXED_LINES
"""Channels of the mixer: the drums, then the lines."""
_Channel = Annotated[int, Field(strict=True, ge=0, lt=_N_CHANNELS)]


_KEY = "transport"
_KIT = SessionVar[str | None]("kept.kit", None, persist_as=str)
_VOICE_KITS = SessionVar[Mapping[int, str]]("kept.voice_kits", {}, persist_as=dict[Voice, str])
"""The kits of voices that do not use the common kit, by voice."""
_PROGRAMS = SessionVar[tuple[int, ...]]("transport.programs", ())
"""The instruments that the browser has, or should load."""
_DOWNLOAD = SessionVar[tuple[int, str, bytes] | None]("transport.download", None)
_N_DOWNLOADS = SessionVar("transport.download.number", 0)


class _Transport(BaseModel):
    """The playback settings; also the schema of what the browser reports of them.

    `tempo` is None if each groove plays at its own; `swing` is a share of a triplet, `feel` a share
    of the drummer's timing and dynamics, and `levels` are perceived loudness. Channels are the nine
    drums, then the lines.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tempo: Annotated[float, Field(ge=MIN_TEMPO_BPM, le=MAX_TEMPO_BPM)] | None = None
    swing: Share = 0.0
    feel: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] = 1.0
    muted: tuple[_Channel, ...] = ()
    soloed: tuple[_Channel, ...] = ()
    levels: Annotated[tuple[Share, ...], Field(min_length=N_VOICES, max_length=_N_CHANNELS)] = (
        1.0,
    ) * _N_CHANNELS
    volume: Share = 1.0
    clicks: Flag = False
    count_in: Flag = False
    revision: Revision = 0

    def performed(self, music: Music) -> Music:
        """Return music as heard: with this tempo, swing and feel."""
        at_tempo = music if self.tempo is None else music.at_tempo(self.tempo)
        played: Music = performed(at_tempo, self.swing, self.feel)
        return played

    @property
    def gains(self) -> tuple[float, ...]:
        """The amplitude of each channel in the mix."""
        audible = self.soloed or set(range(_N_CHANNELS)) - set(self.muted)
        return tuple(level**2 if at in audible else 0.0 for at, level in enumerate(self.levels))


class Sounds(Protocol):
    """What renders music to files and packs for the browser: see the methods of `Studio`."""

    @property
    def sound_problem(self) -> str | None:
        """Why there is no sound; None if there is."""

    def kits(self) -> tuple[str, ...]:
        """List the drum kits."""

    def described_kits(self) -> dict[str, str]:
        """Return the kits with a description of each."""

    def kit_pack(self, kit: str) -> bytes:
        """Return a kit as one file."""

    def instrument_pack(self, program: int) -> bytes:
        """Return an instrument as one file."""

    def wav(
        self,
        music: Music,
        kit: str | None = None,
        gains: Sequence[float] | None = None,
        voice_kits: Mapping[int, str] | None = None,
    ) -> bytes:
        """Return music as a WAV file."""


class _ChosenKit(NamedTuple):
    """The kit of a voice, or of all if `voice` is None; a voice with no kit uses that of all."""

    kit: Name | None
    voice: Voice | None


_CHOSEN_KIT = TypeAdapter(_ChosenKit)


_STATE = SessionVar("kept.transport", _Transport(), persist_as=_Transport)


def transport() -> _Transport:
    """Return the playback settings of this session."""
    return _STATE.get()


def chosen_kit(sounds: Sounds) -> str | None:
    """Return the kit of this session, the first by default; None if there is no sound."""
    if sounds.sound_problem:
        return None
    kit = _KIT.get()
    return kit if kit in sounds.kits() else sounds.kits()[0]


def _voice_kits(sounds: Sounds) -> dict[int, str]:
    """Return the kits of this session's voices that do not use the common kit, by voice."""
    if sounds.sound_problem:
        return {}
    known = sounds.kits()
    return {voice: kit for voice, kit in _VOICE_KITS.get().items() if kit in known}


def choose_kit(kit: str | None, voice: int | None = None) -> None:
    """Choose a kit for this session or for one voice; None returns a voice to the common kit."""
    if voice is None:
        _KIT.set(kit)
        return
    others = {at: own for at, own in _VOICE_KITS.get().items() if at != voice}
    _VOICE_KITS.set(others if kit is None else {**others, voice: kit})


def load_instruments(programs: Iterable[int]) -> None:
    """Make the browser load instruments for lines, by General MIDI program, in this run."""
    _PROGRAMS.set(tuple(dict.fromkeys((*_PROGRAMS.get(), *programs))))


_LOOP = SessionVar("midi_loop", False, persist_as=bool)


def draw_loop_toggle() -> None:
    """Draw the choice of how MIDI files are saved, shared by all pages."""
    st.toggle(
        "Save MIDI files as loops",
        key=_LOOP.key,
        persist_state="session",
        help="On: a hit just before the first beat is written at the end of the file, so that the "
        "loop is exact. Off: it is written at the start, for a file that is played once.",
    )


def performed_midi(music: Music) -> bytes:
    """Return a MIDI file of music as the transport plays it, in the chosen form."""
    return _midi(transport().performed(music), _LOOP.get())


@lru_cache(maxsize=256)
def _midi(music: Music, loop: bool) -> bytes:
    return form_of(music).write(music, loop)


def performed_wav(sounds: Sounds, music: Music) -> bytes:
    """Return a WAV file of music, as the transport plays it."""
    now = transport()
    kit, own = chosen_kit(sounds), _voice_kits(sounds)
    return sounds.wav(now.performed(music), kit, gains=now.gains, voice_kits=own)


def performed_stems(sounds: Sounds, music: Music) -> bytes:
    """Return a zip with a WAV file of each audible voice, by the voice's name."""
    now = transport()
    kit, own, performed = chosen_kit(sounds), _voice_kits(sounds), now.performed(music)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for channel, name in _channels_of(music).items():
            gains = [gain if at == channel else 0.0 for at, gain in enumerate(now.gains)]
            if any(gains):
                wav = sounds.wav(performed, kit, gains=gains, voice_kits=own)
                archive.writestr(f"{channel + 1:02d}-{file_stem(name)}.wav", wav)
    return file.getvalue()


def _channels_of(music: Music) -> dict[int, str]:
    """Return the mixer channels that music uses, and their names."""
    parts = parts_of(music)
    drums = [part for part in parts.values() if isinstance(part, Groove)]
    played = {voice for part in drums for voice in np.flatnonzero(part.hits.any(axis=0)).tolist()}
    lines = [name for name, part in parts.items() if not isinstance(part, Groove)]
    named = dict(enumerate((*VOICE_LABELS, *lines)))
    return {at: name for at, name in named.items() if at in played or at >= N_VOICES}


def offer_download(name: str, data: bytes) -> None:
    """Make the browser save a file at the end of this run; for a callback."""
    _DOWNLOAD.set((next_number(_N_DOWNLOADS) + 1, name, data))


def send_kits(open_sounds: Callable[[], Sounds]) -> None:
    """Send the browser the kits of all voices.

    Before the page is drawn, so that another kit is heard while the page is still being drawn.
    """
    try:
        sounds = open_sounds()
    except MusicVAEError:
        return  # the page explains why
    if kit := chosen_kit(sounds):
        kits = dict.fromkeys(range(N_VOICES), kit) | _voice_kits(sounds)
        with st.container(key="transport-kits"):  # for assets/page.css
            for name in dict.fromkeys(kits.values()):
                _send_kit(sounds, name, [voice for voice, own in kits.items() if own == name])


def _send_kit(sounds: Sounds, name: str, voices: list[int]) -> None:
    try:
        header = {"kit": name, "voices": voices, "address": _packed_kit(sounds, name)}
    except OSError as error:
        problem = f"The sounds of {name} cannot be stored for the browser: {error}."
        st.toast(as_text(problem), icon=":material/error:")
    else:
        send_bytes(header, b"", key=f"transport.kit.{name}")


def draw_transport(open_sounds: Callable[[], Sounds]) -> None:
    """Draw the bar, and send the browser its instruments, and a file if one was requested.

    After the page is drawn, which requests the instruments that it needs.
    """
    try:
        sounds = open_sounds()
    except MusicVAEError:
        return  # the page explains why
    kit = chosen_kit(sounds)
    if kit:
        _draw_instruments(sounds)
        _prepare_kits(sounds)
    _draw_download()
    _draw_bar(
        key=_KEY,
        data={
            "labels": VOICE_LABELS,
            "kits": list(sounds.described_kits().items()) if kit else [],
            "kit": kit,
            "voice_kits": list(_voice_kits(sounds).items()),
            "pads": [[pitch, voice] for pitch, voice in VOICE_OF_PITCH.items()],
            "problem": sounds.sound_problem,
            "packs": _pack_folder()[1],
            "scripts": _preloaded_scripts(),
            "set": transport().model_dump(mode="json", exclude={"revision"}),
            "revision": transport().revision,
        },
        on_set_change=on_event(_KEY, "set", _SCHEMA, _STATE.set),
        on_kit_change=on_event(_KEY, "kit", _CHOSEN_KIT, _choose),
    )


_PRELOADED = ("FileUploader", "TextInput", "NumberInput", "PlotlyChart")
"""Streamlit's scripts that the pages need, apart from those that Sample has; the largest last."""


@lru_cache(maxsize=1)
def _preloaded_scripts() -> list[str]:
    """Return the addresses of the scripts that the browser loads ahead of other pages.

    Streamlit loads the script of an element when that is first drawn; Plotly's takes more than a
    second. Streamlit does not tell their names, which end in a hash: those that a later version
    has renamed are left to it.
    """
    folder = Path(st.__file__).parent / "static" / "static" / "js"
    found = [path.name for name in _PRELOADED for path in folder.glob(f"{name}.*.js")]
    return [f"static/js/{name}" for name in found]


def _draw_instruments(sounds: Sounds) -> None:
    """Send the browser the instruments that pages have requested."""
    for program in _PROGRAMS.get():
        pack = _instrument_pack(sounds, program)
        send_bytes({"program": program}, pack, key=f"transport.instrument.{program}")


@st.cache_resource(show_spinner=False)
def _prepare_kits(_sounds: Sounds) -> None:
    """Pack the described kits in the background, so that the choice of one is heard soon."""
    for name, description in _sounds.described_kits().items():
        if name != description:
            in_background(partial(_packed_kit, _sounds, name))


@st.cache_resource(show_spinner=False)
def _pack_folder() -> tuple[TemporaryDirectory[str], str]:
    """Return a folder for the packs of kits, and the address at which Streamlit serves it.

    It belongs to a component that is never mounted: the public way to serve files that are not
    those of a session. Each server has its own address, so that no old pack is cached.
    """
    folder = temporary_folder("groove-space-kits-")
    served = declare_component(Path(folder.name).name, path=folder.name)
    return folder, f"component/{served.name}/"


def _packed_kit(sounds: Sounds, kit: str) -> str:
    """Pack a kit into a file, once for all sessions; return the address of the file."""
    folder, address = _pack_folder()
    file = Path(folder.name, _file_of(kit))
    if not file.exists():  # some systems delete old files from their temporary folder
        file.parent.mkdir(exist_ok=True)
        write_content(file, sounds.kit_pack(kit))
    return address + file.name


def _file_of(kit: str) -> str:
    """Return the name of a kit's file: the browser knows it too, see `assets/player/packs.js`."""
    return f"{kit.encode().hex()}.pack"


@st.cache_resource(max_entries=16, show_spinner=False)
def _instrument_pack(_sounds: Sounds, program: int) -> bytes:
    return _sounds.instrument_pack(program)


def _draw_download() -> None:
    waiting = _DOWNLOAD.get()
    if waiting is None:
        return
    number, name, data = waiting
    send_bytes({"save": name, "number": number}, data, key="transport.download")
    _DOWNLOAD.take()  # now that it is on its way


def send_bytes(header: dict[str, Any], data: bytes, *, key: str) -> None:
    """Send the browser bytes and what they are: see `assets/player/pack.js`."""
    text = json.dumps(header).encode()
    _draw_pack(data=struct.pack("<I", len(text)) + text + data, key=key)


def _choose(chosen: _ChosenKit) -> None:
    choose_kit(chosen.kit, chosen.voice)


_SCHEMA = TypeAdapter(_Transport)
_draw_bar = component("transport")
_draw_pack = component("pack")
