"""What is asked for: options of tasks, actors and calls, and what is known of the functions and classes they are of.

`option_rules` is the table of options, `options` what they resolve to, `descriptors` and `signature` describe what is
called, `resource_request` and `label_selector` say where it may run. Plain values: nothing here knows a session.
"""
