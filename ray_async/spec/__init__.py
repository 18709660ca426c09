"""Specifications: options of tasks, actors, calls and nodes, and what is known of functions and classes.

`option_table` and `node_options` have a row for each option; `task_options` and its like are what options resolve to,
`placement` and the descriptions what becomes of them; `descriptors` and `signature` describe what is called. Plain
values: nothing here knows a session.
"""
