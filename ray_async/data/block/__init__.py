"""Blocks: Arrow tables that hold a dataset's rows.

`columns` makes Arrow columns of Python and NumPy values and back, `tensors` the two types that Arrow lacks, `rows`
and `batches` the forms in which functions see a block, `schema` one schema for blocks that differ, and `bundle` the
names by which the executor passes blocks around without touching them.
"""
