"""The session of a process: its side of the arena, of the node's control connection, and of what it has exported.

`core_session` is what drivers' and workers' sessions have in common, `driver` the one that `init` makes.
"""
