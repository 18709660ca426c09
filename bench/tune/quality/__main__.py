"""Entry point of `python -m bench.tune.quality`."""

import os
import sys

from bench.tune.quality.cli import main

if __name__ == "__main__":
    # Thousands of short trials, whose files nobody reads.
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    sys.exit(main())
