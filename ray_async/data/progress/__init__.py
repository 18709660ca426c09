"""Progress: what each operator of a running plan does, sampled, and shown while it runs.

`state` reads the state machine, `meter` makes rates and waits of samples, `text` draws them, `displays` are terminals,
plain logs and notebooks, and `live` puts these together on the event loop of an execution.
"""
