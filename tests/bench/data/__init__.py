"""Tests of the benchmark suite's own parts; none of them measures a time."""
