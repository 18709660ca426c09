"""The streaming executor: what runs when, decided apart from how it is run.

`machine` is a state machine without I/O: it is told what has finished, failed or was taken, and answers with
instructions; `stages` is the state of each operator of the physical plan. Two shells carry instructions out: `remote`
on tasks and actors, on an event loop, and `inline` in the calling thread, for small data without user functions.
`execution` chooses between them and gives the blocks to whoever consumes them.
"""
