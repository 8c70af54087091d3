"""`python -m musicvae_core`: see `commands.cli`."""

import sys

from musicvae_core.commands.cli import main

sys.exit(main())
