"""A service as generated code declares it, whose messages are among the well-known ones."""

from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import Int64Value, StringValue

__all__ = ("Stub", "add_TextsServicer_to_server")

NAME = "tests.Texts"
_KINDS = {
    "Upper": (grpc.unary_unary_rpc_method_handler, StringValue),
    "Missing": (grpc.unary_unary_rpc_method_handler, StringValue),
    "Letters": (grpc.unary_stream_rpc_method_handler, StringValue),
    "Length": (grpc.stream_unary_rpc_method_handler, Int64Value),
    "Echo": (grpc.stream_stream_rpc_method_handler, StringValue),
}


def add_TextsServicer_to_server(servicer: Any, server: Any) -> None:  # as generated code names it
    handlers = {
        name: make(
            getattr(servicer, name),
            request_deserializer=StringValue.FromString,
            response_serializer=answer.SerializeToString,
        )
        for name, (make, answer) in _KINDS.items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NAME, handlers),))
    server.add_registered_method_handlers(NAME, handlers)


class Stub:
    """The client's side."""

    def __init__(self, channel: Any) -> None:
        def made(kind: str, name: str, answer: Any) -> Any:
            return getattr(channel, kind)(
                f"/{NAME}/{name}",
                request_serializer=StringValue.SerializeToString,
                response_deserializer=answer.FromString,
            )

        self.Upper = made("unary_unary", "Upper", StringValue)
        self.Missing = made("unary_unary", "Missing", StringValue)
        self.Letters = made("unary_stream", "Letters", StringValue)
        self.Length = made("stream_unary", "Length", Int64Value)
        self.Echo = made("stream_stream", "Echo", StringValue)
