"""Compiled graphs: methods of actors that run over and over, fed through channels in shared memory.

`plan` says, as plain values, what each actor does in an execution; `actor_loop` does it, in a thread of the actor's
process; `graph` starts executions, whose results are promises in the object store that the actors keep; `watch` sees
actors die.
"""
