"""`python -m musicvae_core`: see `cli`."""

import sys

from musicvae_core.cli import main

sys.exit(main())
