"""The errors of ray_async, in one tree. Each also inherits the builtin that it stands for.

Caller errors: the program asked for something that cannot be.

    RayError
    ├── ActorAlreadyExistsError (ValueError)      a named actor exists in the namespace
    ├── ActorHandleNotFoundError (ValueError)     a handle from another session
    ├── PendingCallsLimitExceeded                 max_pending_calls calls are outstanding
    ├── GetTimeoutError (TimeoutError)            get() waited as long as it was to
    ├── TaskCancelledError                        the task was cancelled
    ├── TaskUnschedulableError                    no node can ever run the task
    ├── ActorUnschedulableError                   no node can ever run the actor
    ├── TaskPlacementGroupRemoved                 its placement group was removed
    ├── ActorPlacementGroupRemoved
    ├── RuntimeEnvSetupError                      the runtime_env could not be made
    ├── ObjectStoreFullError                      does not fit, even after spilling
    ├── OutOfDiskError                            nor onto the disk
    ├── OufOfBandObjectRefSerializationException  a reference pickled where settings forbid it
    └── AuthenticationError                       the token was refused

Remote errors: something went wrong where the work ran.

    RayError
    ├── RayTaskError                              user code raised; see as_instanceof_cause()
    ├── UserCodeException                         base of wrappers around errors of user code
    ├── UnserializableException                   the remote error cannot be rebuilt here
    ├── CrossLanguageError
    ├── WorkerCrashedError                        the worker died, no retries left
    ├── OutOfMemoryError                          it was killed for memory
    ├── NodeDiedError                             its node died
    ├── LocalRayletDiedError                      the node process of its own node died
    ├── RayActorError
    │   ├── ActorDiedError                        for good
    │   └── ActorUnavailableError                 for the moment
    ├── AsyncioActorExit                          exit_actor() inside an async actor
    └── ObjectLostError
        ├── DeviceMemoryLostError                 it lay on a GPU, in memory of a process that has ended
        ├── ObjectFetchTimedOutError
        ├── ObjectFreedError
        ├── ObjectReconstructionFailedError
        ├── OwnerDiedError
        └── ReferenceCountingAssertionError (AssertionError)

Internal errors: ray_async or its transport failed.

    RayError
    ├── RaySystemError
    │   ├── StreamingGeneratorReplayInconsistentError
    │   ├── RayChannelError
    │   │   └── RayChannelTimeoutError (TimeoutError)
    │   ├── RayCgraphCapacityExceeded
    │   └── RayDirectTransportError
    ├── RpcError
    ├── PlasmaObjectNotAvailable
    └── ObjectRefStreamEndOfStreamError

Errors reach other processes through `to_payload` and `from_payload`.
"""

from __future__ import annotations

from .actor import (
    ActorAlreadyExistsError,
    ActorDiedError,
    ActorDiedErrorContext,
    ActorHandleNotFoundError,
    ActorPlacementGroupRemoved,
    ActorUnavailableError,
    ActorUnschedulableError,
    AsyncioActorExit,
    PendingCallsLimitExceeded,
    RayActorError,
)
from .base import CrossLanguageError, RayError, UnserializableException
from .object import (
    DeviceMemoryLostError,
    GetTimeoutError,
    ObjectFetchTimedOutError,
    ObjectFreedError,
    ObjectLostError,
    ObjectReconstructionFailedError,
    ObjectRefStreamEndOfStreamError,
    ObjectStoreFullError,
    OufOfBandObjectRefSerializationException,
    OutOfDiskError,
    OwnerDiedError,
    PlasmaObjectNotAvailable,
    ReconstructionFailure,
    ReferenceCountingAssertionError,
)
from .payload import dependency_payload, from_payload, payload_text, to_payload
from .system import (
    AuthenticationError,
    LocalRayletDiedError,
    NodeDiedError,
    OutOfMemoryError,
    RayCgraphCapacityExceeded,
    RayChannelError,
    RayChannelTimeoutError,
    RayDirectTransportError,
    RaySystemError,
    RpcError,
    RuntimeEnvSetupError,
    StreamingGeneratorReplayInconsistentError,
)
from .task import (
    RayTaskError,
    TaskCancelledError,
    TaskPlacementGroupRemoved,
    TaskUnschedulableError,
    UserCodeException,
    WorkerCrashedError,
)

#: Every class of the tree.
RAY_EXCEPTION_TYPES: list[type[RayError]] = [
    RayError,
    ActorAlreadyExistsError,
    ActorDiedError,
    ActorHandleNotFoundError,
    ActorPlacementGroupRemoved,
    ActorUnavailableError,
    ActorUnschedulableError,
    AsyncioActorExit,
    AuthenticationError,
    CrossLanguageError,
    GetTimeoutError,
    LocalRayletDiedError,
    NodeDiedError,
    ObjectFetchTimedOutError,
    ObjectFreedError,
    ObjectLostError,
    ObjectReconstructionFailedError,
    ObjectRefStreamEndOfStreamError,
    ObjectStoreFullError,
    OufOfBandObjectRefSerializationException,
    OutOfDiskError,
    OutOfMemoryError,
    OwnerDiedError,
    PendingCallsLimitExceeded,
    PlasmaObjectNotAvailable,
    RayActorError,
    RayCgraphCapacityExceeded,
    RayChannelError,
    RayChannelTimeoutError,
    RayDirectTransportError,
    RaySystemError,
    RayTaskError,
    ReferenceCountingAssertionError,
    RpcError,
    RuntimeEnvSetupError,
    StreamingGeneratorReplayInconsistentError,
    TaskCancelledError,
    TaskPlacementGroupRemoved,
    TaskUnschedulableError,
    UnserializableException,
    UserCodeException,
    WorkerCrashedError,
]

# The package is their one public home: tracebacks and pickles name it, not the file a class happens to stand in.
for _cls in RAY_EXCEPTION_TYPES:
    _cls.__module__ = __name__
del _cls

__all__ = (
    "RAY_EXCEPTION_TYPES",
    "ActorAlreadyExistsError",
    "ActorDiedError",
    "ActorDiedErrorContext",
    "ActorHandleNotFoundError",
    "ActorPlacementGroupRemoved",
    "ActorUnavailableError",
    "ActorUnschedulableError",
    "AsyncioActorExit",
    "AuthenticationError",
    "CrossLanguageError",
    "DeviceMemoryLostError",
    "GetTimeoutError",
    "LocalRayletDiedError",
    "NodeDiedError",
    "ObjectFetchTimedOutError",
    "ObjectFreedError",
    "ObjectLostError",
    "ObjectReconstructionFailedError",
    "ObjectRefStreamEndOfStreamError",
    "ObjectStoreFullError",
    "OufOfBandObjectRefSerializationException",
    "OutOfDiskError",
    "OutOfMemoryError",
    "OwnerDiedError",
    "PendingCallsLimitExceeded",
    "PlasmaObjectNotAvailable",
    "RayActorError",
    "RayCgraphCapacityExceeded",
    "RayChannelError",
    "RayChannelTimeoutError",
    "RayDirectTransportError",
    "RayError",
    "RaySystemError",
    "RayTaskError",
    "ReconstructionFailure",
    "ReferenceCountingAssertionError",
    "RpcError",
    "RuntimeEnvSetupError",
    "StreamingGeneratorReplayInconsistentError",
    "TaskCancelledError",
    "TaskPlacementGroupRemoved",
    "TaskUnschedulableError",
    "UnserializableException",
    "UserCodeException",
    "WorkerCrashedError",
    "dependency_payload",
    "from_payload",
    "payload_text",
    "to_payload",
)
