"""Plans: what a dataset is, as a tree of nodes that knows its columns and, where it can, its number of rows.

`nodes` are the nodes; the optimizer turns a tree into one that means the same and costs less; `physical` makes of it
the stages that the executor runs.
"""
