"""Messages of the type ``tf.train.Example``, without TensorFlow: its wire format, described to protobuf."""

from __future__ import annotations

from functools import cache
from typing import Any

from ray_async.data.sources.optional import library

__all__ = ("example_class",)

_DESCRIPTION = """
name: "example.proto" package: "ray_async.data" syntax: "proto3"
message_type { name: "BytesList"
  field { name: "value" number: 1 type: TYPE_BYTES label: LABEL_REPEATED } }
message_type { name: "FloatList"
  field { name: "value" number: 1 type: TYPE_FLOAT label: LABEL_REPEATED options { packed: true } } }
message_type { name: "Int64List"
  field { name: "value" number: 1 type: TYPE_INT64 label: LABEL_REPEATED options { packed: true } } }
message_type { name: "Feature"
  oneof_decl { name: "kind" }
  field { name: "bytes_list" number: 1 type: TYPE_MESSAGE type_name: ".ray_async.data.BytesList" oneof_index: 0
          label: LABEL_OPTIONAL }
  field { name: "float_list" number: 2 type: TYPE_MESSAGE type_name: ".ray_async.data.FloatList" oneof_index: 0
          label: LABEL_OPTIONAL }
  field { name: "int64_list" number: 3 type: TYPE_MESSAGE type_name: ".ray_async.data.Int64List" oneof_index: 0
          label: LABEL_OPTIONAL } }
message_type { name: "Features"
  nested_type { name: "FeatureEntry" options { map_entry: true }
    field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
    field { name: "value" number: 2 type: TYPE_MESSAGE type_name: ".ray_async.data.Feature" label: LABEL_OPTIONAL } }
  field { name: "feature" number: 1 type: TYPE_MESSAGE type_name: ".ray_async.data.Features.FeatureEntry"
          label: LABEL_REPEATED } }
message_type { name: "Example"
  field { name: "features" number: 1 type: TYPE_MESSAGE type_name: ".ray_async.data.Features" label: LABEL_OPTIONAL } }
"""


@cache
def example_class(user: str) -> Any:
    """The class of the messages.

    Args:
        user: what needs it, for the error's text.

    Raises:
        ImportError: protobuf is not installed.
    """
    parts = ("descriptor_pb2", "descriptor_pool", "message_factory", "text_format")
    messages, pools, factory, texts = (library(f"google.protobuf.{part}", "protobuf", user) for part in parts)
    pool = pools.DescriptorPool()
    pool.Add(texts.Parse(_DESCRIPTION, messages.FileDescriptorProto()))
    return factory.GetMessageClass(pool.FindMessageTypeByName("ray_async.data.Example"))
