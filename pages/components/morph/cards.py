"""What the Morph page shows: the morph, its ends beside what the model makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from musicvae_core.groove import Groove
from musicvae_core.studio import Studio
from musicvae_core.takes import Morphed
from pages.components.deck.card import Card, Mix, Morph
from pages.components.favourites import is_favourite
from pages.components.slots import Source
from pages.components.studio import loop_sounds

_MORPH = "morph"


@dataclass(frozen=True, eq=False)
class Played:
    """A morph as it is heard: the result at the tempo, with the kit and the mix of the page.

    Parameters
    ----------
    result
        The morph.
    sources
        Its ends, of the model's length.
    model
        The name of the model.
    tempo_bpm, kit, mix
        How it is played.
    """

    result: Morphed
    sources: tuple[Source, ...]
    model: str
    tempo_bpm: float
    kit: str | None
    mix: Mix

    @property
    def name(self) -> str:
        """Return the names of the ends as one."""
        *others, last = (source.name for source in self.sources)
        return f"{', '.join(others)} to {last}"

    @property
    def grooves(self) -> tuple[Groove, ...]:
        """Return the steps at the tempo."""
        return tuple(groove.at_tempo(self.tempo_bpm) for groove in self.result.grooves)

    def morph(self, studio: Studio, at: tuple[float, float]) -> Morph:
        """Return the steps on a strip or a pad, the pointer at (x, y)."""
        sounds, _ = loop_sounds(studio, self.grooves, self.kit, mix=self.mix, compressed=True)
        return Morph(
            self.grooves,
            tuple(sounds),
            self.result.n_rows,
            self.result.n_columns,
            tuple(source.name for source in self.sources),
            at,
        )

    def step(self, index: int) -> Source:
        """Return one step, for a favourite or another page."""
        name = f"{self.name}, step {index + 1}"
        z = self.result.codes[index]
        return Source(name, self.grooves[index], z, self.model, _MORPH)


def morph_card(studio: Studio, played: Played, at: tuple[float, float]) -> Card:
    """Return the card that morphs."""
    morph = played.morph(studio, at)
    groove = played.grooves[morph.index_at(at)]
    n_rows, n_columns = played.result.n_rows, played.result.n_columns
    note = f"{n_columns} steps" if n_rows == 1 else f"{n_rows} by {n_columns} steps"
    return Card(
        *(_MORPH, played.name, groove, studio.midi(groove), None, note),
        kept=is_favourite(groove),
        morph=morph,
    )


def end_cards(studio: Studio, played: Played, keys: Sequence[str], *, editable: bool) -> list[Card]:
    """Return a card for each end, of the id of its slot, and one as the model plays it."""
    backs = played.result.reconstructions
    originals = [back.original.at_tempo(played.tempo_bpm) for back in backs]
    decoded = [back.groove.at_tempo(played.tempo_bpm) for back in backs]
    sounds, _ = loop_sounds(studio, [*originals, *decoded], played.kit, mix=played.mix)
    cards = []
    for at, (key, source, back) in enumerate(zip(keys, played.sources, backs, strict=True)):
        own, other = sounds[at], sounds[at + len(backs)]
        letter = key[-1].upper()
        cards.append(
            Card(
                *(key, f"{letter}: {source.name}", originals[at], studio.midi(originals[at]), own),
                note=source.origin,
                kept=is_favourite(originals[at]),
                editable=editable,
            )
        )
        cards.append(
            Card(
                *(f"{key}.model", f"{letter} as the model plays it", decoded[at]),
                *(studio.midi(decoded[at]), other),
                note=f"{back.accuracy:.0%} of steps right, F1 of hits {back.hit_f1:.2f}",
                kept=is_favourite(decoded[at]),
                before=originals[at],
                before_wav=own,
                before_name=cards[-1].name,
            )
        )
    return cards
