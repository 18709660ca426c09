"""Entry point of `python -m bench.data`."""

import sys

from bench.data.cli import main

if __name__ == "__main__":
    sys.exit(main())
