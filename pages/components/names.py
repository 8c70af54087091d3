"""Names of grooves: two words drawn from z, always the same; and any name, written as it is."""

import re
from collections.abc import Collection
from hashlib import blake2b
from itertools import count

import numpy as np
from numpy.typing import NDArray

_FIRST = """
Amber Autumn Blue Brass Bright Broken Chalk Cinder Copper Coral Dusty Early Electric Ember Fallen
Feather Glass Golden Granite Hollow Indigo Ivory Late Little Lunar Marble Midnight Misty Neon
Northern Olive Paper Pearl Quiet River Rusty Sandy Scarlet Silent Silver Slow Smoky Solar Stone
Sugar Tidal Velvet Wild Winter Woven
"""
_SECOND = """
Alley Anchor Arcade Avenue Bridge Canal Canyon Cellar Corner Diner Engine Ferry Garage Garden
Harbour Highway Island Junction Kitchen Ladder Lantern Market Meadow Mill Motel Orchard Parade
Pavement Pier Platform Porch Quarry Railway Roof Room Shuffle Signal Square Stairs Station Street
Stroll Tower Train Tunnel Valley Viaduct Walk Wharf Yard
"""


_MARKDOWN = re.compile(r"[\\`*_\[\]$:<>~#!|]")


def as_text(name: str) -> str:
    """Return a name, of a file say, such that Streamlit shows its very letters."""
    return _MARKDOWN.sub(r"\\\g<0>", name)


def name_of(z: NDArray[np.float32], taken: Collection[str] = ()) -> str:
    """Return a name for the groove at z, with a number where it is `taken`.

    Parameters
    ----------
    z
        (Z,) float32.
    taken
        Names that are in use.
    """
    first, second = _FIRST.split(), _SECOND.split()
    digest = int.from_bytes(blake2b(z.tobytes(), digest_size=8).digest(), "big")
    rest, at = divmod(digest, len(first))
    name = f"{first[at]} {second[rest % len(second)]}"
    if name not in taken:
        return name
    return next(numbered for n in count(2) if (numbered := f"{name} {n}") not in taken)


UNKNOWN = "unknown"
"""What a style or a drummer is called where the data set names none."""
_STYLES = {
    "afrobeat": "Afrobeat",
    "afrocuban": "Afro-Cuban",
    "hiphop": "hip-hop",
    "latin": "Latin",
    "middleeastern": "Middle Eastern",
    "neworleans": "New Orleans",
}
"""Styles of the data set that are spelt otherwise."""


def style_in_text(style: str) -> str:
    """Return a style of the data set as it is spelt within a sentence."""
    return _STYLES.get(style, style) or UNKNOWN


def style_title(style: str) -> str:
    """Return a style of the data set as it is spelt by itself."""
    text = style_in_text(style)
    return text if text == UNKNOWN else text[:1].upper() + text[1:]


def drummer_title(drummer: str) -> str:
    """Return `drummer1` as `Drummer 1`."""
    return drummer.replace("drummer", "Drummer ") or UNKNOWN
