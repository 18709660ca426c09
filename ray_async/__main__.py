"""`python -m ray_async` is the command `ray_async`."""

import sys

from ray_async.cli import main

if __name__ == "__main__":
    sys.exit(main())
