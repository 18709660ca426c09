"""Entry point of `python -m bench.tune.quality`."""

import sys

from bench.tune.quality.cli import main

if __name__ == "__main__":
    sys.exit(main())
