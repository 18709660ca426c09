"""HTTP on the replicas: one listening socket that all share, a server in each, and what becomes of a request.

A replica that has a free slot runs a request itself; one that is full, or of another application, hands the request to
a replica that the router picks.
"""
