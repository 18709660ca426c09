"""Awaiting references: on event loops, in threads, and as the items of a stream come.

`loops` has one waiter for each event loop of the process; `generators` are what streaming calls return.
"""
