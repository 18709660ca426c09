"""Ray's compiled core, for programs that import its classes by name; they are those of the public API."""

from ray_async.api.object_ref import ObjectID, ObjectRef, ObjectRefGenerator
from ray_async.exceptions import ObjectRefStreamEndOfStreamError
from ray_async.ids import (
    ActorClassID,
    ActorID,
    ClusterID,
    FunctionID,
    JobID,
    NodeID,
    PlacementGroupID,
    TaskID,
    UniqueID,
    WorkerID,
)
from ray_async.language import Language

__all__ = (
    "ActorClassID",
    "ActorID",
    "ClusterID",
    "FunctionID",
    "JobID",
    "Language",
    "NodeID",
    "ObjectID",
    "ObjectRef",
    "ObjectRefGenerator",
    "ObjectRefStreamEndOfStreamError",
    "PlacementGroupID",
    "TaskID",
    "UniqueID",
    "WorkerID",
)
