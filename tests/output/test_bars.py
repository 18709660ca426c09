"""Progress bars of workers on the driver's terminal."""

import re

from tests.output.script import run, run_on_terminal

SCRIPT = """
import ray_async as ray
from ray_async.experimental import tqdm_ray
ray.init(num_cpus=2)
@ray.remote
def work(n):
    for i in tqdm_ray.tqdm(range(n), desc=f"bar {n}", flush_interval_s=0.01):
        if i % 10 == 0: print("line", i, flush=True)
ray.get([work.remote(30), work.remote(40)])
ray.shutdown()
"""


def test_bars_do_not_garble_the_terminal() -> None:
    shown = run_on_terminal(SCRIPT)
    assert "__ray_async_tqdm__" not in shown
    for n in (30, 40):
        assert re.search(rf"bar {n}: 100%.* {n}/{n} ", shown), shown
    # Each line starts at the left edge, on a line that was cleared of bars.
    for match in re.finditer(r"\(\S*work pid=\d+\)\S* line \d+", re.sub(r"\x1b\[[0-9;]*m", "", shown)):
        before = re.sub(r"\x1b\[[0-9;]*m", "", shown)[: match.start()]
        assert before == "" or before.endswith(("\n", "\r", "\x1b[A")), repr(before[-80:])


def test_bars_are_no_lines_where_output_goes_to_a_file() -> None:
    out, _ = run(SCRIPT)
    assert not [line for line in out if "__ray_async_tqdm__" in line]
    assert [line for line in out if line.endswith("line 20")]
