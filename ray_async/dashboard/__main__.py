"""The command that `ray_async.dashboard.launch` runs."""

from __future__ import annotations

import json
import sys


def _main() -> None:
    try:
        import aiohttp  # noqa: F401
    except ImportError:
        sys.stdin.read()
        print(json.dumps({"error": "the dashboard needs aiohttp: pip install 'ray_async[default]'"}), flush=True)
        raise SystemExit(1) from None
    from ray_async.dashboard.process import main

    main()


if __name__ == "__main__":
    _main()
