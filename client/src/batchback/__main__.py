"""`python -m batchback`: the command line if its script is not on the path."""

import sys

from batchback.cli import main

sys.exit(main())
