"""Operators: what workers do with blocks. Each is pickled once for a stage and then called with tables.

`map_operator` runs a source and a chain of `steps` (user functions, expressions, writing) over tables; `sorting`,
`shuffling`, `grouping`, `joining` and `zipping` do the calls that the strategies of the same names plan.
"""
