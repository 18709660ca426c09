"""The runtime: sessions, the node with its scheduler, workers, ownership and recovery.

A `session` connects a process to a node; its `start` finds or launches one. The node (`node`) turns events of the
shared arena into events of the pure `scheduler`, and carries its instructions out. Workers (`worker`) are forked by the
zygote of `start`. `import ray_async` imports nothing of this but the generators of references in `awaiting`.
"""
