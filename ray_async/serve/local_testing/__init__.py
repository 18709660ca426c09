"""Local testing: an application in this process, without a session, HTTP or other processes.

`local_application` constructs the users' objects and gives handles to them, `local_call` runs calls on their loops. The
responses and the runner of methods are those of replicas.
"""
