"""Entry point of ``python -m tests.soak``."""

from __future__ import annotations

import argparse
import sys
import time

from tests.soak.many import KINDS, run_many
from tests.soak.mixed import run_mixed


def main() -> int:
    """Run what was asked for; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="of mixed load with kills (10)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full numbers of the other runs (1)")
    parser.add_argument("--seed", type=int, default=20260731)
    parser.add_argument("kinds", nargs="*", choices=["mixed", *KINDS, []], help="what to run (all)")
    given = parser.parse_args()
    wrong: list[str] = []
    for kind in given.kinds or ["mixed", *KINDS]:
        start = time.monotonic()
        if kind == "mixed":
            wrong += run_mixed(given.minutes * 60, given.seed)
        else:
            wrong += run_many(kind, max(100, int(KINDS[kind][1] * given.scale)))
        print(f"{kind}: {time.monotonic() - start:.0f} s", flush=True)
    for line in wrong:
        print(f"WRONG: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
