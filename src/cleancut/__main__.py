"""``python -m cleancut``."""

import sys

from cleancut.cli.main import main

sys.exit(main())
