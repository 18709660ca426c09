"""The API: tasks, actors and objects as programs see them, over the engine's seam.

`remote_decorator` makes remote functions and actor classes, `invocation` is the callable behind every ``.remote``,
`objects`, `termination` and `aio` are what is done with references, `lifecycle` starts and ends a session. The package
itself exports all of it; Ray's own import paths, ``ray_async.actor`` for one, are faces that pass it on.
"""
