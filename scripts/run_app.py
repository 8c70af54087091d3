"""Start the app like `streamlit run app.py`, but load torch while the browser opens.

    python -m scripts.run_app [--server.port 8501 and what else `streamlit run` takes]

Streamlit runs `app.py`, and so imports torch, only when the first tab connects. That is more than a
second after its server has started, and the processor would be idle in between.
"""

import sys
from importlib import import_module
from pathlib import Path
from threading import Thread

from streamlit.web import cli

_APP = Path(__file__).parents[1] / "app.py"


def _main() -> None:
    # Not the pages: this thread must not import anything that waits for imports by Streamlit.
    Thread(target=import_module, args=["musicvae_core.studio"], daemon=True).start()
    cli.main(["run", str(_APP), *sys.argv[1:]], prog_name="streamlit")


if __name__ == "__main__":
    _main()
