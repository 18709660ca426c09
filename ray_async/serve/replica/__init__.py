"""Replicas: actors that hold one user's object each, and run requests on it.

A request comes by a call of the actor (`actor`), or by HTTP (`ingress`); either way it takes one of the replica's
slots (`slots`) and is run by `runner`.
"""
