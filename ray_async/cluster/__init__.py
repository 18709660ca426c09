"""The engine of many machines: nodes of one machine each, joined by Dask.

`head` keeps the table of nodes and the ledger, `agent` joins a node to the cluster, `lane` carries messages between
agents. `dask_adapter` alone imports distributed. Nothing here is imported by a node, a driver or a worker of one
machine; `foreign` is what workers import when a value from another machine reaches them.
"""
