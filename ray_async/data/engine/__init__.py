"""The engine: relational work on Arrow tables, behind functions that the operators call and nobody else.

`grouping` groups and aggregates, `ordering` sorts. Which library does the work is decided in these modules alone.
"""
