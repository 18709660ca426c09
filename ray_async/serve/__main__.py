"""`python -m ray_async.serve` is the command `ray_async serve`."""

import sys

from ray_async.serve.deploying.command import main

if __name__ == "__main__":
    sys.exit(main())
