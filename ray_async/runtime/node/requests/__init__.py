"""Requests of processes to the node, over its sockets: JSON in, JSON out.

`control` receives and answers them by the tables of the parts: `session_requests`, `actor_requests`, `group_requests`,
`state_requests`, `key_values` and `timeline`. A part checks every field of its messages.
"""
