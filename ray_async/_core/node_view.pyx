"""View of the node process on the arena: events, classes and their queues, processes and their leases.

Offsets and numbers that come from other processes are checked before they are followed.
"""

import os
from collections import namedtuple

from libc.stdint cimport int64_t

from ray_async._core.arena cimport Arena, add_counts
from ray_async._core.layout cimport *
from ray_async._core.object_view cimport raw_bytes

cdef enum:
    MAX_EVENTS = 4096       # in one go, so that the loop gets its turn

ProcessRow = namedtuple(
    "ProcessRow", "state pid kind flags blocked idle_since done current lease_state lease_subject", module=__name__
)


cdef inline u32 n_classes(ra_heap *h) noexcept nogil:
    """How far the table is used; the node believes no number in it."""
    return min(atomic_load_u32(&h.super.n_classes), <u32>RA_MAX_CLASSES)


cdef inline ra_class *ready_class(ra_heap *h, u32 cls) noexcept nogil:
    """A class whose description and queue are there, or NULL."""
    cdef ra_class *c
    if cls == 0 or cls >= RA_MAX_CLASSES:
        return NULL
    c = class_at(h, cls)
    return c if RA_CLASS_STATE(atomic_load_u64(&c.word)) == RA_CLASS_READY else NULL


cdef class NodeView:
    """The node's hands in the arena.

    Args:
        arena: the session's shared memory, joined as the node.
        waiter: index of the node's own loop waiter, which events wake.
    """

    cdef readonly Arena arena
    cdef int64_t off[3]  # what the counts of chunks had too many at the last look: in use, with pages, in the overflow file

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
        """Take the pending events: a list of ``(kind, argument)``; and whether some were lost, so that all must be looked at.

        Kinds are numbers as they were found: any process may have written any. Arguments are offsets, bytes, slots or
        classes.
        """
        cdef ra_heap *h = self.arena.open()
        cdef ra_queue *q = queue_at(h, h.super.events)
        cdef u64 cell
        cdef u32 kind
        cdef list found = []
        while len(found) < MAX_EVENTS:
            cell = ra_ring_take(q, RA_EVENTS_LOG2)
            if cell == 0:
                if ra_ring_mend(q, RA_EVENTS_LOG2):
                    atomic_store_u32(&h.super.node_rescan, 1)
                break
            kind = RA_CELL_GEN(cell)
            found.append((kind, ((RA_CELL_OFFSET(cell) >> 6) - 1) << ra_event_shift(kind)))
        return found, bool(atomic_exchange_u32(&h.super.node_rescan, 0))

    # -- classes and queues --

    def n_classes(self):
        return atomic_load_u32(&self.arena.heap.super.n_classes)

    def class_spec(self, u32 cls):
        """``(spec bytes, queue offset)`` of a class, or None when the table has no such class."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_class *c = ready_class(h, cls)
        if c == NULL or not ra_queue_check(h, c.queue):
            return None
        data = raw_bytes(self.arena, c.spec)
        return None if data is None else (data, c.queue)

    def unused_classes(self):
        """The classes to whose descriptions nobody refers, and whose queues are empty: ``(id, queue)`` of each."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_class *c
        cdef list found = []
        cdef u32 i
        for i in range(1, n_classes(h)):
            c = ready_class(h, i)
            if c == NULL or not ra_entry_check(h, c.spec):
                continue
            if atomic_load_u32(&ra_entry_at(h, c.spec).refs) == 1 and not self._has_records(c.queue):
                found.append((i, c.queue))
        return found

    def waiting_classes(self):
        """The classes in whose queues records wait, or whose doorbells have rung."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_class *c
        cdef list found = []
        cdef u32 i
        for i in range(1, n_classes(h)):
            c = ready_class(h, i)
            if c == NULL or not ra_queue_check(h, c.queue):
                continue
            if atomic_load_u32(&queue_at(h, c.queue).doorbell) or self._has_records(c.queue):
                found.append(i)
        return found

    cdef bint _has_records(self, u64 queue):
        cdef ra_heap *h = &self.arena.heap
        return ra_queue_check(h, queue) and (
            ra_queue_length(h, queue_at(h, queue)) != 0 or atomic_load_u32(&queue_at(h, queue).overflowing) != 0
        )

    def close_class(self, u32 cls):
        """Begin to end a class: nobody finds it any more. Returns its queue, or 0 when somebody uses it."""
        cdef ra_heap *h = self.arena.open()
        return class_at(h, cls).queue if 0 < cls < RA_MAX_CLASSES and ra_class_close(h, cls) else 0

    def reopen_class(self, u32 cls):
        """Take that back: records of the class may still run."""
        if 0 < cls < RA_MAX_CLASSES:
            ra_class_reopen(self.arena.open(), cls)

    def end_class(self, u32 cls):
        """Free the place, queue and description of a class that was closed. Returns False while a worker serves it."""
        return bool(0 < cls < RA_MAX_CLASSES and ra_class_end(self.arena.open(), cls))

    cdef ra_queue *_queue(self, u64 offset) except NULL:
        """The queue at an offset that may be another process's word."""
        cdef ra_heap *h = self.arena.open()
        if not ra_queue_check(h, offset):
            raise ValueError("there is no queue at that offset")
        return queue_at(h, offset)

    def queue_length(self, u64 queue):
        """Records that wait in a queue, those in its overflow counted as one."""
        cdef ra_queue *q = self._queue(queue)
        return ra_queue_length(&self.arena.heap, q) + (1 if atomic_load_u32(&q.overflowing) else 0)

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
        if ra_queue_length(h, q):
            ra_queue_wake(h, q)

    def refill(self, u64 queue):
        """Move overflowed records into the ring; returns whether some stay behind."""
        cdef ra_heap *h = self.arena.open()
        if not ra_queue_check(h, queue):
            return False
        return bool(ra_refill(h, queue))

    def claim_queued(self, u64 queue):
        """Take a record from a queue, as a worker would, so as to fail it; 0 when it is empty."""
        return ra_queue_pop(self.arena.open(), self._queue(queue))

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
        """A process's slot, as a `ProcessRow`."""
        cdef ra_proc *p = self._proc(slot)
        cdef u64 lease = atomic_load_u64(&p.lease)
        return ProcessRow(
            atomic_load_u32(&p.state), p.pid, p.kind, atomic_load_u32(&p.flags), atomic_load_u32(&p.blocked),
            atomic_load_u64(&p.idle_since), atomic_load_u64(&p.done), atomic_load_u64(&p.current),
            lease & 0xff, lease >> 32,
        )

    def uid(self, u32 slot):
        """The number of the process in a slot, which no other process of the session has."""
        return self._proc(slot).uid

    def set_node(self, u32 slot, u32 number):
        """The process that is to join in a slot belongs to a logical node."""
        self._proc(slot).node = number

    def worker_id(self, u32 slot):
        """The id of the process in a slot."""
        return b"%08x" % self._proc(slot).uid + self.arena.session + b"\0\0\0\0"

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

    # -- figures --

    def statistics(self):
        """Bytes and counts of the session's memory."""
        cdef ra_super *s = self.arena.open().super
        return {
            "limit": s.limit, "used": atomic_load_u64(&s.used) * RA_CHUNK, "spilled": atomic_load_u64(&s.spilled),
            "restored": atomic_load_u64(&s.restored), "lineage": atomic_load_u64(&s.lineage),
            "resident": atomic_load_u64(&s.resident) * RA_CHUNK, "overflow": atomic_load_u64(&s.overflow) * RA_CHUNK,
            "touched": <u64>atomic_load_u32(&s.high) * RA_CHUNK,
        }

    def mend_used(self):
        """Correct the counts of chunks; returns whether that of chunks in use was wrong.

        A process that is killed while it claims or gives back chunks leaves the count too high. One that is in the middle
        of that looks the same, so the difference has to be there at two looks.
        """
        cdef ra_heap *h = self.arena.open()
        self._mend(&h.super.resident, ra_count_warm(h), 1)
        self._mend(&h.super.overflow, ra_count_overflow(h), 2)
        return self._mend(&h.super.used, ra_count_used(h), 0)

    cdef bint _mend(self, au64 *count, u64 counted, int which):
        cdef int64_t off = <int64_t>atomic_load_u64(count) - <int64_t>counted, before = self.off[which]
        self.off[which] = 0 if off == before else off
        if off == 0 or off != before:
            return False
        atomic_sub_u64(count, <u64>off)
        return True


add_counts(RA_LIVE)
