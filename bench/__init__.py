"""Benchmarks: `python -m bench`.

A *subject* (one file in `bench.subjects`) lists *rows*; a row names a *case*, which every contender that can do it
measures in a process of its own (`bench.drivers`): the floors (`bench.floors`), ray_async and its peers. The harness
asks the contenders in turn, round after round, so that each number has a floor that was measured right beside it;
what is reported is the median of the ratios of each round. See docs/benchmarks.md.
"""
