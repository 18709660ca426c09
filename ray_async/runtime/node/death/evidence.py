"""Evidence of a worker's death: facts in, a message and the caller's error out, without any I/O."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from enum import Enum

from ray_async.exceptions import (
    ActorDiedError,
    ActorDiedErrorContext,
    NodeDiedError,
    OutOfMemoryError,
    RayError,
    WorkerCrashedError,
)
from ray_async.frozen import Record
from ray_async.machine.cgroup import MemoryEvents
from ray_async.machine.exit_status import ExitStatus

__all__ = ("DeathCause", "DeathReport", "Deceased", "Evidence", "split_fault_stack")

MAX_STDERR_LINES = 20
MAX_STACK_LINES = 40

_FAULT_START = re.compile(r"^(Fatal Python error|Windows fatal exception): ")
_PROCESS_DIED = "its worker process has died"
_FRAME = re.compile(r'  File "(?P<file>[^"]*)", line ')
_PACKAGE = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3)) + os.sep
_FAULT_LINE = re.compile(r"^(Current thread|Thread) 0x|^(Current thread's C stack|Stack) |^  \S")


class DeathCause(Enum):
    """Cause of the end of a process or of an actor; the values complete "because ...".

    The first group is what the node did or decided itself, the second what it finds out about a process that ended.
    """

    KILLED = "it was killed by `ray.kill`"
    CANCELLED = "a task of its process was cancelled with force by ray.cancel"
    EXIT_ACTOR = "it called exit_actor()"
    OUT_OF_SCOPE = "all references to it are gone"
    OWNER_DIED = "its owner has died"
    JOB_ENDED = "its job has ended"
    GROUP_REMOVED = "its placement group was removed"
    NODE_DIED = "its node has died"
    SESSION_ENDED = "the session has ended"
    INIT_FAILED = "its __init__ has failed"
    ENVIRONMENT_FAILED = "its environment cannot be made"
    CANNOT_START = "no worker could be started for it"
    UNSCHEDULABLE = "it cannot be scheduled"
    ACTOR_ENDED = "its actor has ended"
    ZYGOTE_DIED = "the process that forks workers has died, and its workers with it"
    NOT_REGISTERED = "it did not report in time"
    SPARE = "it was not needed any more"
    MEMORY_MONITOR = "memory was short"

    OUT_OF_MEMORY = "the kernel killed it for memory"
    SIGNAL = "a signal killed it"
    EXIT = "it ended itself"
    UNKNOWN = "nobody knows how it ended"

    @property
    def is_decided(self) -> bool:
        """True where the node ended the process or actor on purpose, rather than finding it dead."""
        return self not in _FOUND


_FOUND = (DeathCause.OUT_OF_MEMORY, DeathCause.SIGNAL, DeathCause.EXIT, DeathCause.UNKNOWN)


class Deceased(Record):
    """What died: the worker of a task, or of an actor if `actor_id` is set.

    Args:
        name: the task's or method's name, for instance `"f"` or `"Counter.add"`.
        actor_id: hex id of the actor.
        actor_name: name under which the actor was registered.
        never_started: nothing of it ever ran.
    """

    name: str
    pid: int = 0
    node_ip: str = ""
    actor_id: str = ""
    class_name: str = ""
    actor_name: str = ""
    namespace: str = ""
    never_started: bool = False

    @property
    def title(self) -> str:
        """For messages: kind, name and process."""
        kind = f"actor {self.class_name or self.name} ({self.actor_id})" if self.actor_id else f"task {self.name}"
        return f"{kind}, pid={self.pid}" if self.pid else kind


class Evidence(Record):
    """What is known about the end of a process.

    Args:
        status: how it ended; None if nobody knows.
        intent: set where the runtime ended the process itself.
        memory_before: counters of the control group while the worker was alive.
        memory_after: the same after its death.
        stderr: last lines that it wrote.
        detail: anything else, for instance the limits that the memory monitor saw.
        not_restarted: of an actor: why it stays dead; completes "because ...".
    """

    status: ExitStatus | None = None
    intent: DeathCause | None = None
    memory_before: MemoryEvents | None = None
    memory_after: MemoryEvents | None = None
    stderr: Sequence[str] = ()
    detail: str = ""
    not_restarted: str = ""

    @property
    def cause(self) -> DeathCause:
        """The verdict."""
        if self.intent is not None:
            return self.intent
        if self.status is None:
            return DeathCause.UNKNOWN
        if self.status.signal is None:
            return DeathCause.EXIT
        if self.status.signal_name == "SIGKILL" and _kernel_kills(self):
            return DeathCause.OUT_OF_MEMORY
        return DeathCause.SIGNAL

    @property
    def summary(self) -> str:
        """The verdict in a few words, for a line of its own."""
        cause = self.cause
        if cause in (DeathCause.SIGNAL, DeathCause.EXIT) and self.status is not None:
            return self.status.describe()
        return self.detail if cause is DeathCause.MEMORY_MONITOR and self.detail else cause.value


class DeathReport(Record):
    """The verdict on a death.

    Example:
        >>> report = DeathReport.build(Deceased("f", pid=7), Evidence(ExitStatus(signal=11)))
        >>> report.cause, type(report.error()).__name__
        (<DeathCause.SIGNAL: 'a signal killed it'>, 'WorkerCrashedError')
    """

    deceased: Deceased
    cause: DeathCause
    message: str

    @classmethod
    def build(cls, deceased: Deceased, evidence: Evidence) -> DeathReport:
        """Decide on the cause, and say what happened, to whom, why, and what to try."""
        cause = evidence.cause
        lines = [_what(deceased, evidence, cause), *_why(deceased, evidence, cause)]
        advice = _advice(evidence, cause)
        if advice:
            lines.append(f"What to try: {advice}")
        rest, stack = split_fault_stack(evidence.stderr)
        if stack:
            lines += ["Python stack when it crashed:", *_indent(_without_callers(stack)[:MAX_STACK_LINES])]
        if rest:
            lines += ["Last lines of its stderr:", *_indent(rest[-MAX_STDERR_LINES:])]
        return cls(deceased, cause, "\n".join(lines))

    def error(self) -> RayError:
        """The error for callers that have no retries left."""
        if self.cause is DeathCause.MEMORY_MONITOR:
            return OutOfMemoryError(self.message)
        if self.deceased.actor_id:
            return ActorDiedError(self._context())
        if self.cause is DeathCause.NODE_DIED:
            return NodeDiedError(self.message)
        if self.cause is DeathCause.OUT_OF_MEMORY:
            return OutOfMemoryError(self.message)
        return WorkerCrashedError(self.message)

    def _context(self) -> ActorDiedErrorContext:
        who = self.deceased
        return ActorDiedErrorContext(
            actor_id=who.actor_id,
            error_message=self.message,
            class_name=who.class_name,
            name=who.actor_name,
            ray_namespace=who.namespace,
            pid=who.pid,
            node_ip_address=who.node_ip,
            never_started=who.never_started,
        )


def split_fault_stack(stderr: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate what `faulthandler` wrote from the other lines of stderr: (others, stack)."""
    others: list[str] = []
    stack: list[str] = []
    inside = False
    for raw in stderr:
        line = raw.rstrip("\n")
        if _FAULT_START.match(line):
            inside = True
        elif inside and line and not _FAULT_LINE.match(line):
            inside = False
            if line.startswith("Extension modules:"):
                continue
        if inside:
            stack += [line] if line else []
        elif line or others:
            others.append(line)
    return others, stack


def _without_callers(stack: Sequence[str]) -> list[str]:
    """A stack without the package's frames that called the user's: who reads it knows that a worker ran them."""
    kept: list[str] = []
    below_user = False
    for line in stack:
        frame = _FRAME.match(line)
        ours = frame is not None and (frame["file"].startswith(_PACKAGE) or frame["file"] == "<string>")
        if frame is None or not ours:
            below_user = frame is not None
        elif below_user:
            continue
        kept.append(line)
    return kept


def _kernel_kills(evidence: Evidence) -> int:
    if evidence.memory_before is None or evidence.memory_after is None:
        return 0
    return evidence.memory_after.kills_since(evidence.memory_before)


def _what(deceased: Deceased, evidence: Evidence, cause: DeathCause) -> str:
    if deceased.actor_id:
        why = cause.value if cause.is_decided and cause is not DeathCause.MEMORY_MONITOR else _PROCESS_DIED
        what = f"The actor is dead because {why}."
    else:
        what = "The worker process of a task died."
    how = f" ({evidence.status.describe()})" if evidence.status is not None else ""
    return f"{what} It was the {deceased.title}{how}."


def _why(deceased: Deceased, evidence: Evidence, cause: DeathCause) -> list[str]:
    lines: list[str] = []
    if cause is DeathCause.OUT_OF_MEMORY:
        kills = _kernel_kills(evidence)
        lines.append(
            f"Why: out of memory. The kernel killed {kills} process{'es' if kills > 1 else ''} of this control group "
            "for memory while this worker ran."
        )
    elif cause is DeathCause.MEMORY_MONITOR:
        lines.append("Why: out of memory. The node killed it before the kernel would have had to choose.")
    elif cause is DeathCause.UNKNOWN:
        lines.append("Why: unknown; the process was gone and nobody knows how it ended.")
    elif cause is DeathCause.EXIT:
        code = evidence.status.code if evidence.status else None
        lines.append(f"Why: the process ended itself with exit code {code}, as sys.exit() and os._exit() do.")
    elif cause.is_decided and not deceased.actor_id:
        lines.append(f"Why: {cause.value}.")
    if evidence.detail:
        lines.append(evidence.detail)
    if evidence.not_restarted:
        lines.append(f"It is not restarted because {evidence.not_restarted}.")
    return lines


_MEMORY_ADVICE = (
    "run fewer of them at once (num_cpus or memory in the options), use smaller pieces, or raise the container's limit."
)
_SIGNAL_ADVICE = {
    "SIGSEGV": "native code wrote or read where it must not; look at the stack and at extension modules.",
    "SIGBUS": "a mapped page could not be provided; shared memory or the disk behind a file is full.",
    "SIGABRT": "native code gave up; its own message stands in stderr.",
    "SIGILL": "a library was built for another processor; reinstall it for this machine.",
    "SIGFPE": "native code divided by zero.",
    "SIGKILL": "the kernel's counters show no memory kill, so somebody sent the signal; see dmesg, too.",
    "SIGTERM": "somebody asked the process to end; look for what manages processes on this machine.",
    "SIGXCPU": "the limit of CPU time (ulimit -t) is used up.",
    "SIGXFSZ": "the limit of file size (ulimit -f) is reached.",
    "SIGSYS": "a system call is forbidden by the sandbox around this process.",
}


def _advice(evidence: Evidence, cause: DeathCause) -> str:
    if cause in (DeathCause.OUT_OF_MEMORY, DeathCause.MEMORY_MONITOR):
        return _MEMORY_ADVICE
    if cause is DeathCause.EXIT:
        return "return from the function, or raise an exception, instead of ending the process."
    if cause is DeathCause.SIGNAL and evidence.status is not None:
        name = evidence.status.signal_name
        if name == "SIGKILL" and (evidence.memory_before is None or evidence.memory_after is None):
            return "the kernel keeps no count of memory kills here; see dmesg for one, or find who sent the signal."
        return _SIGNAL_ADVICE.get(name or "", "")
    return ""


def _indent(lines: Sequence[str]) -> list[str]:
    return [f"    {line.rstrip()}" for line in lines]
