"""Benchmarks of Serve: `python -m bench.serve`.

The same harness as `bench`: subjects with rows, contenders that take turns, ratios within a round. A contender here is
a server: its driver starts it, and the harness sends it load by `wrk`, from outside of the contender's processes, so
that their CPU time is that of serving alone. The floors are the same handlers under uvicorn without anything else.
"""
