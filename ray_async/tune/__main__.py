"""The command ``ray_async tune``."""

import sys

from ray_async.tune.command.command import main

sys.exit(main())
