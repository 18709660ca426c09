"""Hosts: how a worker runs an actor's calls, or several async tasks at once.

One call at a time or in threads (`actor_host`), on an event loop (`async_host`), on a loop for each concurrency group
(`grouped_host`).
"""
