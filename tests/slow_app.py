"""The app over a fake `Studio` that takes seconds to answer."""

import runpy
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [path for path in (str(ROOT), str(ROOT / "tests")) if path not in sys.path]

from fake_lab import FakeLab  # noqa: E402
from fake_studio import FakeStudio  # noqa: E402

import pages.shared.deck as shared  # noqa: E402

SECONDS = 3.0


def slowed(base: type, *names: str) -> None:
    """Let methods of a class wait before they answer, all but their first time."""
    for name in names:
        answer, calls = getattr(base, name), iter([False])

        def wait(self: Any, *args: Any, _answer=answer, _calls=calls, **more: Any) -> Any:
            if next(_calls, True):
                time.sleep(SECONDS)
            return _answer(self, *args, **more)

        setattr(base, name, wait)


if not getattr(FakeStudio, "is_slow", False):
    FakeStudio.is_slow = True
    slowed(FakeStudio, "sample", "steer", "morph")
    slowed(FakeLab, "humanize")
shared._open_studio = FakeStudio
runpy.run_path(str(ROOT / "app.py"), run_name="__main__")
