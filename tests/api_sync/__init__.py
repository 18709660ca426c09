"""The blocking API in scripts, threads, notebooks and forked children, against the real engine."""
