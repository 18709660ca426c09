"""Handles: calls of deployments from anywhere.

A handle's call goes to its deployment's router in this process and loop, which picks a replica by what the board says
and calls its actor: no process lies between. What finds all replicas full waits in the router.
"""

from ray_async.serve.handle.handle import DeploymentHandle
from ray_async.serve.handle.response import DeploymentResponse, DeploymentResponseGenerator

__all__ = ("DeploymentHandle", "DeploymentResponse", "DeploymentResponseGenerator")
