"""The node process: it turns the arena's events into the scheduler's, and the scheduler's instructions into actions.

`node` puts the parts together and runs their loop; no part knows it. `arena_events` and `requests` let events and
questions in, `dispatch` hands events to the scheduler, `scheduler_instructions` has carried out what it wants. Between
them are the parts with a life of their own: `workers` and their `worker_lifecycle`, `tasks`, `actors`, `classes`,
`leases`, `groups`, `drivers`, `objects`, `death`. `other_nodes` is what they see of a cluster. `__main__` is the entry
for ``ray_async start``.
"""
