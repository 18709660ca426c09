"""gRPC: a server of its own for all applications, whose methods are those of the deployments.

`Services` knows the methods of the user's services, `GrpcCalls` answers each by a call of a replica, `answer` runs it
there, and `GrpcServer` is the actor that listens. What replicas see of a call is in `values`.
"""
