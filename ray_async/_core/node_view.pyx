"""What the node process sees and does in the arena. Offsets that come from other processes are checked before they are followed."""

import os

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from ray_async._core.arena cimport Arena, add_counts
from ray_async._core.layout cimport *
from ray_async._core.object_ref cimport ObjectRef, new_ref
from ray_async._core.store cimport complete_with

cdef extern from "Python.h":
    int PyBUF_READ, PyBUF_WRITE

cdef enum:
    MAX_EVENTS = 4096       # in one go, so that the loop gets its turn
    SPILL_MINIMUM = 65536   # bytes: smaller payloads stay

EVENT_NAMES = {
    RA_EV_DEMAND: "demand", RA_EV_CLASS: "class", RA_EV_WAITING: "waiting", RA_EV_RETURNED: "returned", RA_EV_IDLE: "idle",
    RA_EV_BLOCKED: "blocked", RA_EV_UNBLOCKED: "unblocked", RA_EV_ACTOR: "actor", RA_EV_ACTOR_READY: "actor_ready",
    RA_EV_ACTOR_FAILED: "actor_failed", RA_EV_ACTOR_SCOPE: "actor_scope", RA_EV_ACTOR_DRAIN: "actor_drain",
    RA_EV_OVERFLOW: "overflow", RA_EV_FULL: "full", RA_EV_WORKER_UP: "worker_up", RA_EV_ACTOR_EXIT: "actor_exit",
    RA_EV_RETRY: "retry", RA_EV_LOST: "lost", RA_EV_CANCEL: "cancel",
}
EVENT_KINDS = {name: kind for kind, name in EVENT_NAMES.items()}


cdef struct Search:
    ra_heap *heap
    u32 state      # of records; 0: any
    int64_t runner
    int64_t job
    u64 actor
    u64 parent
    u64 parent_seq
    u64 queue
    void *found    # a list


cdef void visit_record(void *context, u64 offset) noexcept nogil:
    cdef Search *s = <Search *>context
    cdef ra_record *r = ra_record_at(s.heap, offset)
    cdef u64 word = atomic_load_u64(&r.word)
    if s.state and RA_R_STATE(word) != s.state:
        return
    if s.runner >= 0 and RA_R_RUNNER(word) != s.runner:
        return
    if s.job >= 0 and r.job != s.job:
        return
    if s.actor and r.actor != s.actor:
        return
    if s.parent and (r.parent != s.parent or r.parent_seq != s.parent_seq):
        return
    if s.queue and r.queue != s.queue:
        return
    with gil:
        (<list>s.found).append(offset)


cdef struct Unfinished:
    ra_heap *heap
    void *found    # a list


cdef void visit_unfinished(void *context, u64 offset) noexcept nogil:
    cdef Unfinished *u = <Unfinished *>context
    cdef ra_record *r = ra_record_at(u.heap, offset)
    cdef u64 word = atomic_load_u64(&r.word)
    if RA_R_STATE(word) < RA_REC_WAITING or RA_R_STATE(word) > RA_REC_RUNNING or r.parent == 0 and r.scope == 0:
        return
    with gil:
        (<list>u.found).append((offset, r.seq, r.parent, r.parent_seq, r.scope, r.kind, RA_R_FLAGS(word)))


cdef void visit_any(void *context, u64 offset) noexcept nogil:
    with gil:
        (<list>context).append(offset)


cdef class NodeView:
    """The node's hands in the arena.

    Args:
        arena: the session's shared memory, joined as the node.
        waiter: index of the node's own loop waiter, which events wake.
    """

    cdef readonly Arena arena
    cdef int64_t off  # what the count of chunks in use had too many at the last look

    def __init__(self, Arena arena, u32 waiter):
        self.arena = arena
        cdef ra_heap *h = arena.open()
        atomic_store_u32(&h.super.node_pid, os.getpid())
        atomic_store_u32(&h.super.node_waiter, waiter + 1)
        atomic_store_u32(&h.super.node_state, RA_NODE_UP)

    def down(self):
        """Say that this node takes no more work."""
        atomic_store_u32(&self.arena.heap.super.node_state, RA_NODE_DOWN)

    def events(self):
        """Take the pending events: a list of ``(name, argument)``; and whether some were lost, so that all must be looked at."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_queue *q = queue_at(h, h.super.events)
        cdef u64 cell
        cdef list found = []
        while len(found) < MAX_EVENTS:
            cell = ra_ring_take(q, RA_EVENTS_LOG2)
            if cell == 0:
                if ra_ring_mend(q, RA_EVENTS_LOG2):
                    atomic_store_u32(&h.super.node_rescan, 1)
                break
            name = EVENT_NAMES.get(RA_CELL_GEN(cell))
            if name is not None:
                found.append((name, (RA_CELL_OFFSET(cell) >> 6) - 1))
        return found, bool(atomic_exchange_u32(&h.super.node_rescan, 0))

    # -- classes and queues --

    def n_classes(self):
        return atomic_load_u32(&self.arena.heap.super.n_classes)

    def class_spec(self, u32 cls):
        """``(spec bytes, queue offset, creator's slot)`` of a class, or None when the table has no such class."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_class *c
        if cls == 0 or cls >= RA_MAX_CLASSES:
            return None
        c = class_at(h, cls)
        if atomic_load_u32(&c.state) != RA_CLASS_READY or not ra_queue_check(h, c.queue):
            return None
        data = self.raw(c.spec)
        return None if data is None else (data, c.queue, c.creator)

    def drop_class(self, u32 cls):
        """Free a class whose job is over. The queue's memory stays until the session ends, since cells may name it."""
        cdef ra_class *c = class_at(self.arena.open(), cls)
        if atomic_load_u32(&c.state) == RA_CLASS_READY:
            atomic_store_u32(&c.state, RA_CLASS_BUILDING)

    def raw(self, u64 entry):
        """Bytes of a RAW entry that another process named, or None when it is not one."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_entry *e
        cdef u64 word
        if not ra_block_check(h, entry, RA_CHUNK_OBJ):
            return None
        e = ra_entry_at(h, entry)
        word = atomic_load_u64(&e.word)
        if RA_FORMAT(word) != RA_F_RAW or RA_STATE(word) != RA_VALUE or e.size > (1 << 26):
            return None
        data = self._stream(e.payload)
        return None if data is None or len(data) > e.size else data

    cdef bytes _stream(self, u64 payload):
        """Bytes of a payload's stream, or None when it is damaged."""
        cdef ra_heap *h = self.arena.open()
        cdef u64 length = 0, at = ra_payload_stream(h, payload, &length)
        return PyBytes_FromStringAndSize(<char *>h.base + at, length) if at else None

    cdef bint _inside(self, u64 offset, u64 size):
        cdef ra_super *s = self.arena.heap.super
        return s.data <= offset < s.bytes and size <= s.bytes - offset

    cdef ra_queue *_queue(self, u64 offset) except NULL:
        """The queue at an offset that may be another process's word."""
        cdef ra_heap *h = self.arena.open()
        if not ra_queue_check(h, offset):
            raise ValueError("there is no queue at that offset")
        return queue_at(h, offset)

    def queue_length(self, u64 queue):
        """Records that wait in a queue, those in its overflow counted as one."""
        cdef ra_queue *q = self._queue(queue)
        return ra_queue_length(q) + (1 if atomic_load_u32(&q.overflowing) else 0)

    def reset_doorbell(self, u64 queue):
        """Let the class's producers ring again."""
        atomic_store_u32(&self._queue(queue).doorbell, 0)

    def set_doorbell(self, u64 queue):
        """Have the class's workers say when one of them finds the queue empty."""
        atomic_store_u32(&self._queue(queue).doorbell, 1)

    def wake_queue(self, u64 queue):
        """Wake a sleeping worker of the queue, if it has any and there is work."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_queue *q = self._queue(queue)
        atomic_store_u32(&q.sleepers, 1)
        if ra_queue_length(q):
            ra_queue_wake(h, q)

    def refill(self, u64 queue):
        """Move overflowed records into the ring; returns whether some stay behind."""
        cdef ra_heap *h = self.arena.open()
        if not ra_queue_check(h, queue):
            return False
        return bool(ra_refill(h, queue))

    # -- processes --

    def reserve(self):
        """A slot of the process table for a worker to be forked."""
        return self.arena.reserve(RA_PROC_WORKER)

    cdef ra_proc *_proc(self, u32 slot) except NULL:
        """A place of the process table; the number may be another process's word."""
        cdef ra_heap *h = self.arena.open()
        if slot >= RA_MAX_PROCS:
            raise ValueError("the process table has no such slot")
        return proc_at(h, slot)

    def process(self, u32 slot):
        """A process's slot: ``(state, pid, kind, flags, blocked, idle_since, done, current, lease state, lease what)``."""
        cdef ra_proc *p = self._proc(slot)
        cdef u64 lease = atomic_load_u64(&p.lease)
        return (
            atomic_load_u32(&p.state), p.pid, p.kind, atomic_load_u32(&p.flags), atomic_load_u32(&p.blocked),
            atomic_load_u64(&p.idle_since), atomic_load_u64(&p.done), atomic_load_u64(&p.current),
            lease & 0xff, lease >> 32,
        )

    def uid(self, u32 slot):
        """The number of the process in a slot, which no other process of the session has."""
        return self._proc(slot).uid

    def lease(self, u32 slot, u32 sequence, u64 what, bint actor=False):
        """Give a parked worker a class (its id), or an actor (its offset)."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_proc *p = self._proc(slot)
        atomic_and_u32(&p.flags, ~RA_PF_REVOKE)
        if actor:
            atomic_store_u64(&p.lease, RA_LEASE_WORD(RA_LEASE_ACTOR, sequence, what >> 6))
        else:
            atomic_store_u64(&p.lease, RA_LEASE_WORD(RA_LEASE_IDLE, sequence, what))
        if p.waiter < RA_MAX_WAITERS:
            ra_wake(h, p.waiter)

    def lease_state(self, u32 slot):
        """0 none, 1 idle, 2 busy, 3 an actor's."""
        return atomic_load_u64(&self._proc(slot).lease) & 0xff

    def leased_class(self, u32 slot):
        """The class that a worker's lease word names, idle or busy; 0 for none."""
        cdef u64 lease = atomic_load_u64(&self._proc(slot).lease)
        return lease >> 32 if (lease & 0xff) == RA_LEASE_IDLE or (lease & 0xff) == RA_LEASE_BUSY else 0

    def close_first_lease(self, u32 slot):
        """From now on only the node leases this worker; a lease that the driver gave before stands."""
        cdef u64 none = 0
        atomic_cas_u64(&self._proc(slot).lease, &none, RA_LEASE_WORD(RA_LEASE_NONE, 1, 0))

    def take_idle(self, u32 slot):
        """Take an idle lease back. Returns False when the worker is busy."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_proc *p = self._proc(slot)
        cdef u64 lease = atomic_load_u64(&p.lease)
        if (lease & 0xff) != RA_LEASE_IDLE:
            return False
        if not atomic_cas_u64(&p.lease, &lease, lease & ~<u64>0xff):
            return False
        if p.waiter < RA_MAX_WAITERS:
            ra_wake(h, p.waiter)  # it leaves the queue's list of waiters
        return True

    def flag(self, u32 slot, u32 bits):
        """Set flags of a worker (1 give the lease back, 2 look at cancelled tasks, 4 exit) and wake it."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_proc *p = self._proc(slot)
        atomic_or_u32(&p.flags, bits)
        if p.waiter < RA_MAX_WAITERS:
            ra_wake(h, p.waiter)

    def wake_all(self):
        """Wake every sleeper, so that each looks at the state of things (the session ends)."""
        cdef ra_heap *h = self.arena.open()
        cdef u32 i, n = atomic_load_u32(&h.super.n_waiters)
        for i in range(min(n, RA_MAX_WAITERS)):
            atomic_store_u32(&ra_waiter_at(h, i).rescan, 1)
            ra_wake(h, i)

    def reap(self, u32 slot):
        """Take back what a dead process had in the arena and free its slot."""
        self._proc(slot)
        ra_reap(self.arena.open(), slot)

    # -- records --

    def is_record(self, u64 offset):
        """Whether an offset from another process is a record."""
        return bool(ra_block_check(self.arena.open(), offset, RA_CHUNK_REC)) and 1 <= self.record_state(offset) <= 6

    def record_state(self, u64 record):
        return RA_R_STATE(atomic_load_u64(&ra_record_at(self.arena.open(), record).word))

    def runner(self, u64 record):
        """Slot of the process that runs a record."""
        return RA_R_RUNNER(atomic_load_u64(&ra_record_at(self.arena.open(), record).word))

    def find_records(self, u32 state=0, int64_t runner=-1, int64_t job=-1, u64 actor=0, u64 parent=0, u64 queue=0):
        """Offsets of all records that fit. ``parent`` is a record's offset: its children."""
        cdef Search s
        cdef list found = []
        s.heap = self.arena.open()
        s.state, s.runner, s.job, s.actor, s.parent, s.queue = state, runner, job, actor, parent, queue
        s.parent_seq = ra_record_at(s.heap, parent).seq if parent else 0
        s.found = <void *>found
        ra_each_record(s.heap, visit_record, &s)
        return found

    def unfinished_descendants(self):
        """Unfinished records that a task, or a cancel scope, submitted.

        Each is ``(offset, seq, parent, parent_seq, scope, kind, flags)``.
        """
        cdef Unfinished u
        cdef list found = []
        u.heap = self.arena.open()
        u.found = <void *>found
        ra_each_record(u.heap, visit_unfinished, &u)
        return found

    def release(self, u64 record):
        """Queue a record whose arguments are ready. Returns False when it was cancelled meanwhile."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_record *r = ra_record_at(h, record)
        cdef u64 word = atomic_load_u64(&r.word)
        while RA_R_STATE(word) == RA_REC_WAITING:
            if ra_queue_record(h, record, &word, (word & ~<u64>0xff) | RA_REC_QUEUED):
                return True
        return False

    def release_to_node(self, u64 record):
        """Claim a waiting record for the node, to fail it. Returns False when it was cancelled meanwhile."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_record *r = ra_record_at(h, record)
        cdef u64 word = atomic_load_u64(&r.word)
        while RA_R_STATE(word) == RA_REC_WAITING:
            if atomic_cas_u64(&r.word, &word, RA_R_WORD(RA_REC_RUNNING, RA_R_FLAGS(word), RA_R_ATTEMPT(word), RA_R_GEN(word), h.slot)):
                return True
        return False

    def claim_postponed(self, u64 record):
        """Claim a queued record that need not be in its queue, to fail it. Returns False when someone else has it."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_record *r = ra_record_at(h, record)
        cdef u64 word = atomic_load_u64(&r.word)
        while RA_R_STATE(word) == RA_REC_QUEUED:
            if atomic_cas_u64(&r.word, &word, RA_R_WORD(RA_REC_RUNNING, RA_R_FLAGS(word), RA_R_ATTEMPT(word), RA_R_GEN(word), h.slot)):
                return True
        return False

    def outcome(self, u64 record):
        """Whether all returns are complete already: a worker that dies after that has done its task."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_record *r = ra_record_at(h, record)
        cdef u32 i
        for i in range(ra_record_returns(h, record)):
            if RA_STATE(atomic_load_u64(&r.returns[i].word)) == RA_PENDING:
                return False
        return r.n_returns > 0

    def finish(self, u64 record):
        """End a record whose returns are complete."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_record *r = ra_record_at(h, record)
        cdef u64 item = r.tail
        if r.kflags & RA_KF_STREAM and item != record + sizeof(ra_record) and ra_entry_check(h, item):
            r.tail = record + sizeof(ra_record)
            ra_unpin(h, item)  # the dead producer's
        ra_record_finish(h, record, RA_REC_DONE, 0)

    def repair(self, u64 record, u32 slot):
        """Bring what the killed process in ``slot`` left half done of a record into order, before anybody else goes on with it."""
        ra_returns_repair(self.arena.open(), record, slot)
        ra_stream_repair(self.arena.open(), record)

    def first_error(self, u64 record):
        """Payload bytes of the first argument that failed, or None."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_record *r = ra_record_at(h, record)
        cdef ra_payload *p
        cdef ra_entry *e
        cdef u64 *refs
        cdef u64 word
        cdef u32 i
        if r.args == 0 or not ra_inside(h, r.args, sizeof(ra_payload)):
            return None
        p = ra_payload_at(h, r.args)
        refs = <u64 *>(p + 1)
        for i in range(min(<u32>(atomic_load_u64(&p.word) >> 16 & 0xffff), ra_payload_refs(h, r.args))):
            if not ra_entry_check(h, refs[i]):
                continue
            e = ra_entry_at(h, refs[i])
            word = atomic_load_u64(&e.word)
            # Errors are bytes; the task itself meets what is anything else.
            if RA_STATE(word) == RA_ERROR and RA_FORMAT(word) == RA_F_BYTES:
                return self._stream(e.payload)
        return None

    # -- actors --

    def is_actor(self, u64 offset):
        """Whether an offset from another process is an actor."""
        cdef ra_heap *h = self.arena.open()
        if not ra_block_check(h, offset, RA_CHUNK_OBJ):
            return False
        return RA_FORMAT(atomic_load_u64(&ra_entry_at(h, offset).word)) == RA_F_ACTOR

    def actor(self, u64 offset):
        """``(number, spec bytes, queue, creation record, job, references, state)`` of an actor."""
        cdef ra_actor *a = actor_at(self.arena.open(), offset)
        return (
            a.entry.seq, self.raw(a.spec), a.queue, a.creation, a.job, atomic_load_u32(&a.entry.refs),
            atomic_load_u32(&a.state),
        )

    def actor_references(self, u64 offset):
        return atomic_load_u32(&actor_at(self.arena.open(), offset).entry.refs)

    def set_actor(self, u64 offset, u32 state, u32 slot=0):
        """Set an actor's state (2 alive, 3 restarting, 4 dead) and its worker."""
        cdef ra_actor *a = actor_at(self.arena.open(), offset)
        atomic_store_u32(&a.slot, slot)
        atomic_store_u32(&a.state, state)

    def claim_creation(self, u64 record, u32 slot):
        """The record of ``__init__`` runs in a worker from now on."""
        self._move_creation(record, RA_REC_RUNNING, slot)

    def reset_creation(self, u64 record):
        """``__init__`` is to run again."""
        self._move_creation(record, RA_REC_WAITING, 0)

    cdef void _move_creation(self, u64 record, u32 state, u32 slot):
        cdef ra_record *r = ra_record_at(&self.arena.heap, record)
        cdef u64 word = atomic_load_u64(&r.word)
        while not atomic_cas_u64(&r.word, &word, RA_R_WORD(state, RA_R_FLAGS(word), RA_R_ATTEMPT(word) + 1, RA_R_GEN(word), slot)):
            pass

    def finish_creation(self, u64 record, executor, bytes error):
        """The actor is dead: end the record of ``__init__``, which was kept for restarts."""
        if self.is_record(record) and self.record_state(record) < RA_REC_DONE:
            executor.fail(record, error)

    def count_restart(self, u64 offset):
        """Note that an actor begins again."""
        atomic_add_u32(&actor_at(self.arena.open(), offset).restarts, 1)

    def claim_queued(self, u64 queue):
        """Take a record from a queue, as a worker would, so as to fail it; 0 when it is empty."""
        return ra_queue_pop(self.arena.open(), self._queue(queue))

    def pin(self, u64 entry):
        """Count the node among those who refer to an entry."""
        atomic_add_u32(&self._entry(entry).refs, 1)

    def unpin(self, u64 entry):
        """Take ``pin`` back."""
        if ra_entry_check(self.arena.open(), entry):
            ra_unpin(self.arena.open(), entry)

    cdef ra_entry *_entry(self, u64 offset) except NULL:
        """The entry at an offset that may be another process's word."""
        cdef ra_heap *h = self.arena.open()
        if not ra_entry_check(h, offset):
            raise ValueError("there is no object at that offset")
        return ra_entry_at(h, offset)

    def checked_reference(self, u64 entry):
        """The same, for an offset that another process sent.

        Raises:
            ValueError: there is no object there.
        """
        cdef ra_heap *h = self.arena.open()
        if not ra_block_check(h, entry, RA_CHUNK_OBJ) or RA_STATE(atomic_load_u64(&ra_entry_at(h, entry).word)) not in (1, 2, 3):
            raise ValueError("there is no object at that offset")
        return new_ref(self.arena, entry)

    def copy_value(self, ObjectRef source, ObjectRef promise):
        """Complete a promise with the value of another object, byte for byte, without decoding it."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_entry *e = ra_entry_at(h, source.at())
        cdef u64 word = atomic_load_u64(&e.word), payload = e.payload, size = e.size, i, origin = e.payload
        cdef ra_payload *p
        if RA_STATE(word) != RA_VALUE:
            return False
        if ra_has_payload(word):
            if size < sizeof(ra_payload) or not ra_inside(h, origin, size):
                return False
            payload = self.arena.alloc(RA_CHUNK_DATA, size)
            p = ra_payload_at(h, payload)
            memcpy(p, h.base + origin, size)
            p.n_refs = min(<u64>p.n_refs, (size - sizeof(ra_payload)) // 8)
            for i in range(p.n_refs):
                if ra_entry_check(h, (<u64 *>(p + 1))[i]):
                    atomic_add_u32(&ra_entry_at(h, (<u64 *>(p + 1))[i]).refs, 1)
        return bool(ra_complete(h, promise.at(), RA_VALUE, RA_FORMAT(word), 0, payload, size))

    def fail_promise(self, ObjectRef promise, bytes error):
        """Complete a promise with an error."""
        complete_with(self.arena, promise.at(), RA_ERROR, error)

    def function_of(self, u64 record):
        """Export of the function that a record runs, as its exporter wrote it."""
        return self.raw(ra_record_at(self.arena.open(), record).fn)

    def reference(self, u64 entry):
        """A reference to an entry that something else keeps alive at the moment."""
        self._entry(entry)
        return new_ref(self.arena, entry)

    def free_actor(self, u64 offset):
        """Free a dead actor that nothing refers to."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_actor *a = actor_at(h, offset)
        cdef u64 spec = a.spec, queue = a.queue
        if ra_queue_check(h, queue):
            ra_free(h, queue)
        if ra_entry_check(h, spec):
            ra_unpin(h, spec)
        ra_free(h, offset)

    # -- spilling --

    def spill_candidates(self, u64 wanted):
        """Entries whose payloads, oldest first, sum up to at least ``wanted`` bytes: ``[(entry, bytes)]``."""
        cdef ra_heap *h = self.arena.open()
        cdef list found = [], records = [], entries = []
        cdef ra_record *r
        cdef ra_entry *e
        cdef u64 offset, word, total = 0
        cdef u32 i
        ra_each_object(h, visit_any, <void *>found)
        ra_each_record(h, visit_any, <void *>records)
        for offset in records:
            r = ra_record_at(h, offset)
            for i in range(ra_record_returns(h, offset)):
                found.append(offset + sizeof(ra_record) + i * sizeof(ra_entry))
        for offset in found:
            e = ra_entry_at(h, offset)
            word = atomic_load_u64(&e.word)
            if (
                RA_STATE(word) == RA_VALUE and e.size >= SPILL_MINIMUM and ra_has_payload(word)
                and not RA_FLAGS(word) & (RA_EF_EMBEDDED | RA_EF_DEAD) and atomic_load_u32(&e.views) == 0
                and RA_FORMAT(word) != RA_F_RAW
            ):
                entries.append((e.seq & ((<u64>1 << 40) - 1), offset, e.size))
        entries.sort()
        found = []
        for _, offset, size in entries:
            if total >= wanted:
                break
            found.append((offset, size))
            total += size
        return found

    def objects(self):
        """Values that something refers to: ``[(id, bytes, references)]``; definitions and the like are left out."""
        cdef ra_heap *h = self.arena.open()
        cdef list found = [], records = [], rows = []
        cdef ra_record *r
        cdef ra_entry *e
        cdef u64 offset, word
        cdef u32 i, count
        ra_each_object(h, visit_any, <void *>found)
        ra_each_record(h, visit_any, <void *>records)
        for offset in records:
            r = ra_record_at(h, offset)
            for i in range(ra_record_returns(h, offset)):
                found.append(offset + sizeof(ra_record) + i * sizeof(ra_entry))
        for offset in found:
            e = ra_entry_at(h, offset)
            word = atomic_load_u64(&e.word)
            count = atomic_load_u32(&e.refs)
            if RA_STATE(word) == RA_VALUE and count and not RA_FLAGS(word) & RA_EF_DEAD and RA_FORMAT(word) != RA_F_RAW:
                identity = (
                    (<u64>e.seq).to_bytes(8, "little") + self.arena.session[:12]
                    + (<u32>e.job).to_bytes(4, "little") + (<u32>e.index + 1).to_bytes(4, "little")
                )
                rows.append((identity, e.size, count))
        return rows

    def worker_id(self, u32 slot):
        """The id of the process in a slot."""
        return b"%08x" % self._proc(slot).uid + self.arena.session + b"\0\0\0\0"

    def spill_begin(self, u64 entry):
        """Claim a payload and return its bytes as a memoryview, or None when it is in use."""
        cdef ra_heap *h = self.arena.open()
        cdef u64 payload = ra_spill_begin(h, entry), size = ra_entry_at(h, entry).size
        if payload == 0:
            return None
        if not ra_block_check(h, payload, RA_CHUNK_DATA) or size > ra_block_bytes(h, payload):
            ra_spill_end(h, entry, RA_VALUE, payload)
            return None
        return PyMemoryView_FromMemory(<char *>h.base + payload, size, PyBUF_READ)

    def spill_done(self, u64 entry, u64 number):
        """The bytes are on disk as file ``number``: free the memory. Returns False when it was undone, 0 written."""
        cdef ra_heap *h = self.arena.open()
        cdef u64 payload = ra_entry_at(h, entry).payload
        atomic_add_u64(&h.super.spilled, ra_entry_at(h, entry).size)
        ra_spill_end(h, entry, RA_SPILLED, number)
        ra_free(h, payload)

    def spill_failed(self, u64 entry):
        """The bytes could not be written: the value stays where it is."""
        ra_spill_end(self.arena.open(), entry, RA_VALUE, ra_entry_at(&self.arena.heap, entry).payload)

    def spilled(self, u64 entry):
        """For an entry that another process named: ``(file number, bytes, whether nobody refers to it)``; None: not spilled."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_entry *e
        cdef u64 word
        if not self._inside(entry, sizeof(ra_entry)) or entry % 64:
            return None
        e = ra_entry_at(h, entry)
        word = atomic_load_u64(&e.word)
        if RA_STATE(word) != RA_SPILLED:
            return None
        return e.payload, e.size, bool(RA_FLAGS(word) & RA_EF_DEAD)

    def restore_begin(self, u64 entry):
        """Memory to read a spilled payload into: ``(payload offset, writable memoryview)``; None when there is no room."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_entry *e = ra_entry_at(h, entry)
        cdef u64 payload = ra_alloc(h, RA_CHUNK_DATA, e.size)
        if payload == 0:
            return None
        return payload, PyMemoryView_FromMemory(<char *>h.base + payload, e.size, PyBUF_WRITE)

    def restore_done(self, u64 entry, u64 payload):
        """The bytes are back."""
        cdef ra_heap *h = self.arena.open()
        atomic_add_u64(&h.super.restored, ra_entry_at(h, entry).size)
        ra_spill_end(h, entry, RA_VALUE, payload)

    def restore_failed(self, u64 entry, u64 payload):
        """The file is lost: give the memory back; the entry stays as it is."""
        ra_free(self.arena.open(), payload)

    def lose(self, u64 entry, bytes error):
        """A payload that cannot be read back: readers get the error."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_entry *e = ra_entry_at(h, entry)
        cdef u64 word = atomic_load_u64(&e.word)
        while not atomic_cas_u64(&e.word, &word, (word & ~<u64>0xff) | RA_PENDING):
            pass
        complete_with(self.arena, entry, RA_ERROR, error)

    def forget(self, u64 entry):
        """Free a spilled entry that nobody refers to."""
        return bool(ra_forget(self.arena.open(), entry))

    def record_of(self, u64 entry):
        """The record that makes an entry, or 0."""
        cdef ra_entry *e = ra_entry_at(self.arena.open(), entry)
        if RA_FLAGS(atomic_load_u64(&e.word)) & RA_EF_IN_RECORD:
            return ra_record_of(entry, e.index)
        return 0

    def rebuild(self, u64 record):
        """Run a finished task again for results that were lost.

        Returns the file numbers of the spilled results that it makes anew, or None when its arguments are not kept.
        """
        cdef ra_heap *h = self.arena.open()
        cdef ra_record *r = ra_record_at(h, record)
        cdef u64 word = atomic_load_u64(&r.word), entry_word, kept = r.tail
        cdef ra_entry *e
        cdef u32 i
        cdef list numbers = []
        if RA_R_STATE(word) != RA_REC_DONE or r.kind != RA_KIND_TASK or atomic_load_i32(&r.retries) == 0 or r.kflags & RA_KF_STREAM:
            return None
        if r.kflags & RA_KF_ARGS_FREED:
            return None
        # The lost result's entry keeps the record: only the node frees what is spilled.
        for i in range(ra_record_returns(h, record)):
            e = &r.returns[i]
            entry_word = atomic_load_u64(&e.word)
            while RA_STATE(entry_word) == RA_SPILLED:
                if atomic_cas_u64(&e.word, &entry_word, (entry_word & ~<u64>0xffff) | RA_PENDING):
                    numbers.append(e.payload)
                    e.payload = 0
                    break
        # What the arguments count is counted anew when the task is over once more.
        r.tail = 0
        atomic_sub_u64(&h.super.lineage, kept)
        atomic_add_u32(&r.live, 1)
        if atomic_load_i32(&r.retries) > 0:
            atomic_sub_i32(&r.retries, 1)
        while not ra_queue_record(h, record, &word, RA_R_WORD(RA_REC_QUEUED, 0, RA_R_ATTEMPT(word) + 1, RA_R_GEN(word), 0)):
            pass
        return numbers

    # -- figures --

    def statistics(self):
        """Bytes and counts of the session's memory."""
        cdef ra_super *s = self.arena.open().super
        return {
            "limit": s.limit, "used": atomic_load_u64(&s.used) * RA_CHUNK, "spilled": atomic_load_u64(&s.spilled),
            "restored": atomic_load_u64(&s.restored), "lineage": atomic_load_u64(&s.lineage),
            "touched": <u64>atomic_load_u32(&s.high) * RA_CHUNK,
        }

    def set_spill_stuck(self, u32 count):
        """Tell processes that wait for room that the node has looked, and how often in a row nothing could be spilled."""
        cdef ra_super *s = self.arena.open().super
        atomic_store_u32(&s.spill_stuck, count)
        atomic_add_u32(&s.spill_answers, 1)

    def mend_used(self):
        """Correct the count of chunks in use; returns whether it was wrong.

        A process that is killed while it claims or gives back chunks leaves the count too high. One that is in the middle
        of that looks the same, so the difference has to be there at two looks.
        """
        cdef ra_heap *h = self.arena.open()
        cdef int64_t off = <int64_t>atomic_load_u64(&h.super.used) - <int64_t>ra_count_used(h), before = self.off
        self.off = off
        if off == 0 or off != before:
            return False
        atomic_sub_u64(&h.super.used, <u64>off)
        self.off = 0
        return True


add_counts(RA_LIVE)
