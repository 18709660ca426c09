"""The start of a session: finding or launching a node, its zygote, and what remains when it is killed.

A driver's start begins in `session_start`; `node_launch` starts the node's interpreter early, which begins in `boot`
and becomes the zygote's parent and then the node. `node_control` is the registry of the nodes of this machine.
"""
