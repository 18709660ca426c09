"""The runtime: sessions, the node with its scheduler, workers, ownership and recovery.

A `session` connects a process to a node. The node (`node`) turns events of the shared arena into events of the pure
`scheduler`, and carries its instructions out. Workers (`worker`) are forked by the `zygote`. `import ray_async` imports
nothing of this but `current` and `init_options`.
"""
