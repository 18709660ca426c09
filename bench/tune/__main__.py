"""Entry point of `python -m bench.tune`."""

import sys

from bench.tune.cli import main

if __name__ == "__main__":
    sys.exit(main())
