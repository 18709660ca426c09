"""Sources: where rows come from. `base` says what one is; each other module is one kind.

A source splits itself into reads, each a small picklable value, and turns one read into a stream of tables. What it can
do cheaper than the plan (some columns only, a filter, the first rows) it takes over when the optimizer asks.
"""
