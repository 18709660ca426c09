"""What methods that are called by gRPC get."""

from ray_async.serve.grpc_ingress.values import RayServegRPCContext, gRPCInputStream

__all__ = ("RayServegRPCContext", "gRPCInputStream")
