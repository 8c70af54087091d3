"""What clicks on the map do to what the listener has in hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pages.components.map.points import Spot, middle_spot, mine_id, point_of, point_spot
from pages.components.map.settings import MapSettings
from pages.components.map.state import Hand, hand, keep_hand
from pages.components.sending import take_sent


@dataclass(frozen=True, eq=False)
class Actions:
    """Callbacks of the page; each is called before the page runs again.

    Parameters
    ----------
    settings
        What the widgets say.
    brought
        The listener's own grooves.
    """

    settings: MapSettings
    brought: Sequence[Spot]

    @property
    def now(self) -> Hand:
        """What is in hand."""
        return hand(self.settings.model.name)

    def keep(self, changed: Hand) -> None:
        """Keep what is in hand."""
        keep_hand(self.settings.model.name, changed)

    def take(self, spot_id: str) -> None:
        """Take a spot in hand, and put it on the path where the listener builds one."""
        spot = self._find(spot_id)
        if spot is not None:
            self.keep(self.now.taking(spot, to_path=self.settings.to_path))

    def gather(self, points: NDArray[np.int64]) -> None:
        """Take the middle of points of the atlas in hand, and list them."""
        if len(points):
            spot = middle_spot(self.settings.atlas, points)
            self.keep(self.now.around(spot, tuple(points.tolist())))

    def let_go(self) -> None:
        """Forget what is inside the last lasso."""
        self.keep(self.now.letting_go())

    def take_sent(self) -> None:
        """Take in hand what another page sent."""
        for source in take_sent("map"):
            self.take(mine_id(source.groove))

    def _find(self, spot_id: str) -> Spot | None:
        """Return the spot of an id; None where it is no longer there."""
        point = point_of(spot_id)
        if point is not None and point < len(self.settings.atlas):
            return point_spot(self.settings.atlas, point)
        known = [*self.brought, *self.now.path, *filter(None, [self.now.spot])]
        return next((spot for spot in known if spot.id == spot_id), None)
