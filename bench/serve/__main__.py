"""Entry point of `python -m bench.serve`."""

import sys

from bench.serve.cli import main

if __name__ == "__main__":
    sys.exit(main())
