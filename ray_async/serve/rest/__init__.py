"""The REST API: what runs, as JSON, and deploys of what a config says.

`app` answers requests and knows what they ask for by `routes`, `instance` gives what runs, and `building` imports
applications in a process of their own. The controller serves it, on the loopback interface and to those who have the
token.
"""
