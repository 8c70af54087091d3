"""`python -m musicvae_core`: see `cli.main`."""

import sys

from musicvae_core.cli.main import main

sys.exit(main())
