"""The node's scheduler: a pure state machine that turns events into instructions.

`state.Scheduler` takes one event (`events`) with the time and returns instructions (`instructions`) for the driver.
Inside, data flows `cluster_state` (tables) → `dispatching` (who gets what is free) → `granting` (leases and actors)
→ `reclaiming` (leases asked back for others) → `recycling` (workers started and stopped). `policy` holds choices
without state. Nothing here does I/O or knows a clock.
"""
