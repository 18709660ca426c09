"""The seam between the API and whatever runs tasks: what a session does, as protocols, and the current session.

`protocol` says what an engine offers, `init_options` what a session is started with, `current` holds the connection of
this process. The API imports this and no engine; the runtime of one machine is the engine that `current` starts.
"""
