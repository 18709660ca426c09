"""Deaths of processes: why one died, and who has to know.

`evidence` makes a message of what was found, and is pure; `death_explainer` finds it and makes the errors that callers
get, `survived_deaths` reports what no result shows, `failed_starts` ends what waits for workers that never come up, and
`descendants` are the processes that the node has to reap.
"""
