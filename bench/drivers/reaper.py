"""A process that ends what a contender has left once the harness is gone, even if that was killed.

The harness holds the other end of its input, which says nothing and ends with the harness. Its argument is the mark.
"""

import sys

from bench.drivers import processes

if __name__ == "__main__":
    sys.stdin.read()
    for pid in processes.processes_of(sys.argv[1]):
        processes.kill_and_wait(pid)
