"""The node process: what turns the arena's events into the scheduler's, and its instructions into actions.

`process` is the loop and the dispatch. Its parts: `workers` (the zygote's client and the table of workers), `tasks`
(arguments, retries, cancels), `actors`, `groups` (placement groups), `spilling`, `control` (requests over sockets),
`drivers` (who is attached). `__main__` is the entry for ``ray_async start``.
"""
