"""The numbers of the arena's layout as enumerations: the one place where Python takes them from the C header."""

from enum import IntEnum

from ray_async._core.layout cimport *


class RecordState(IntEnum):
    """States of a record: what has become of a task or a call."""

    NEW = RA_REC_NEW
    WAITING = RA_REC_WAITING
    QUEUED = RA_REC_QUEUED
    RUNNING = RA_REC_RUNNING
    DONE = RA_REC_DONE
    CANCELLED = RA_REC_CANCELLED


class RecordKind(IntEnum):
    """Kinds of records."""

    TASK = RA_KIND_TASK
    ACTOR_INIT = RA_KIND_ACTOR_INIT
    ACTOR_CALL = RA_KIND_ACTOR_CALL


class EntryState(IntEnum):
    """States of an entry: what has become of an object."""

    FREE = RA_FREE
    PENDING = RA_PENDING
    VALUE = RA_VALUE
    ERROR = RA_ERROR
    END = RA_END
    SPILLED = RA_SPILLED
    LOST = RA_LOST
    BUSY = RA_BUSY
    MAKING = RA_MAKING


class ActorState(IntEnum):
    """States of an actor."""

    PENDING = RA_ACTOR_PENDING
    ALIVE = RA_ACTOR_ALIVE
    RESTARTING = RA_ACTOR_RESTARTING
    DEAD = RA_ACTOR_DEAD


class ProcessKind(IntEnum):
    """Kinds of the processes in the table of processes."""

    NODE = RA_PROC_NODE
    DRIVER = RA_PROC_DRIVER
    WORKER = RA_PROC_WORKER
    ZYGOTE = RA_PROC_ZYGOTE


class LeaseState(IntEnum):
    """States of a worker's lease word."""

    NONE = RA_LEASE_NONE
    IDLE = RA_LEASE_IDLE
    BUSY = RA_LEASE_BUSY
    ACTOR = RA_LEASE_ACTOR


class WorkerFlag(IntEnum):
    """Flags that the node sets for a worker; plain numbers, since workers look at them for each call."""

    REVOKE = RA_PF_REVOKE
    CANCEL = RA_PF_CANCEL
    EXIT = RA_PF_EXIT
    ONE_TASK = RA_PF_ONE_TASK


class NodeState(IntEnum):
    """States of the node in the arena's head."""

    STARTING = RA_NODE_STARTING
    UP = RA_NODE_UP
    DOWN = RA_NODE_DOWN


class EventKind(IntEnum):
    """Kinds of the events that processes leave for the node, as the arena's layout numbers them."""

    DEMAND = RA_EV_DEMAND
    CLASS = RA_EV_CLASS
    WAITING = RA_EV_WAITING
    RETURNED = RA_EV_RETURNED
    IDLE = RA_EV_IDLE
    BLOCKED = RA_EV_BLOCKED
    UNBLOCKED = RA_EV_UNBLOCKED
    ACTOR = RA_EV_ACTOR
    ACTOR_READY = RA_EV_ACTOR_READY
    ACTOR_SCOPE = RA_EV_ACTOR_SCOPE
    ACTOR_DRAIN = RA_EV_ACTOR_DRAIN
    OVERFLOW = RA_EV_OVERFLOW
    FULL = RA_EV_FULL
    WORKER_UP = RA_EV_WORKER_UP
    LOST = RA_EV_LOST
    CANCEL = RA_EV_CANCEL
