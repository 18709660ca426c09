"""Types of what methods get that are called by gRPC."""

from ray_async.serve.grpc_ingress.values import RayServegRPCContext, gRPCInputStream

__all__ = ("RayServegRPCContext", "gRPCInputStream")
