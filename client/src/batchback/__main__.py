"""`python -m batchback`: the command line, even if the `batchback` script is not on the PATH."""

import sys

from batchback.cli import main

sys.exit(main())
