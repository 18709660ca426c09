"""What lets an event loop wait for objects: completions arrive in a ring, a datagram says that there are some.

Nothing here knows asyncio: futures are objects with ``done()`` and ``set_result(None)``.
"""

import os
import socket

from ray_async._core.arena cimport Arena, add_counts
from ray_async._core.layout cimport *
from ray_async._core.object_ref cimport ObjectRef

cdef extern from "<sys/socket.h>" nogil:
    ssize_t recv(int, void *, size_t, int)
    int MSG_DONTWAIT

cdef enum:
    LINGER = 20000          # ns that a loop without anything to do looks for work before it sleeps


cdef class LoopWaiter:
    """One loop's place in the waiter table.

    Watch ``fileno()`` for reading and call ``on_readable``.

    Args:
        arena: the session's shared memory.
    """

    cdef Arena arena
    cdef readonly u32 index
    cdef u64 ring
    cdef dict pending   # entry → list of (ref, future)
    cdef object socket
    cdef int descriptor
    cdef readonly u64 n_settled  # objects whose futures were settled so far
    cdef readonly bint lent      # the worker's CPU is lent until something is settled
    cdef str path

    def __init__(self, Arena arena):
        cdef ra_heap *h = arena.open()
        self.arena = arena
        self.index = arena.new_waiter(RA_WAITER_LOOP)
        self.ring = ra_waiter_at(h, self.index).queue
        if not ra_is_loop_ring(h, self.ring):
            self.ring = arena.alloc(RA_CHUNK_OBJ, ra_queue_bytes(RA_LOOP_RING_LOG2))
            ra_queue_init(queue_at(h, self.ring), RA_LOOP_RING_LOG2)
            ra_waiter_at(h, self.index).queue = self.ring
        self.pending = {}
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        # By way of the directory's descriptor, since the path itself may be too long for a socket address.
        self.path = f"/proc/self/fd/{h.directory}/w{self.index}"
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass  # the usual case: no earlier waiter had this index
        self.socket.bind(self.path)
        self.descriptor = self.socket.fileno()
        atomic_store_u32(&ra_waiter_at(h, self.index).armed, 1)

    def fileno(self):
        return self.descriptor

    def watch(self, ObjectRef ref, future):
        """Settle ``future`` once ``ref`` is complete. Returns False, and does nothing, when it is already."""
        cdef u64 entry = ref.at()
        cdef ra_heap *h = &self.arena.heap
        if not ra_watch(h, entry, self.index):
            return False
        self.arena.check_node()
        if RA_STATE(atomic_load_u64(&ra_entry_at(h, entry).word)) == RA_SPILLED:
            ra_event(h, RA_EV_LOST, entry >> 6)
        waiting = self.pending.get(entry)
        if waiting is None:
            self.pending[entry] = [(ref, future)]
        else:
            waiting.append((ref, future))
        return True

    def forget(self, ObjectRef ref, future):
        """Take back a ``watch`` whose future nobody waits for any more."""
        waiting = self.pending.get(ref.entry)
        if waiting is not None:
            waiting[:] = [pair for pair in waiting if pair[1] is not future]
            if not waiting:
                del self.pending[ref.entry]
                if not self.pending:
                    self.retake()

    def lend(self):
        """Tell the node that this worker does nothing but wait: its CPU goes to others, who may be what it waits for."""
        if not self.lent:
            self.lent = True
            ra_lend_cpu(&self.arena.heap)

    cdef retake(self):
        if self.lent:
            self.lent = False
            if not self.arena.heap.closed:
                ra_retake_cpu(&self.arena.heap)

    def on_readable(self):
        """Settle the futures of all that has completed."""
        cdef ra_heap *h = &self.arena.heap
        cdef char datagram[16]
        # One datagram for each time that the waiter was armed; should there be another one, the loop calls again.
        recv(self.descriptor, datagram, sizeof(datagram), MSG_DONTWAIT)
        if not h.closed:
            self.collect()

    cdef collect(self):
        """Settle what has completed, and arm the waiter."""
        cdef ra_heap *h = &self.arena.heap
        cdef ra_waiter *w = ra_waiter_at(h, self.index)
        cdef ra_queue *ring = queue_at(h, self.ring)
        cdef u64 cell, entry
        while True:
            while True:
                cell = ra_ring_take(ring, RA_LOOP_RING_LOG2)
                if cell == 0:
                    break
                self._settle(RA_CELL_OFFSET(cell))
            if atomic_exchange_u32(&w.rescan, 0):
                for entry in list(self.pending):
                    if RA_STATE(atomic_load_u64(&ra_entry_at(h, entry).word)) not in (RA_PENDING, RA_BUSY, RA_SPILLED):
                        self._settle(entry)
            # Arm first, look again after: a completion in between is then either seen here or sends a datagram.
            atomic_store_u32(&w.armed, 1)
            atomic_fence(memory_order_seq_cst)
            if ra_ring_mend(ring, RA_LOOP_RING_LOG2):
                atomic_store_u32(&w.rescan, 1)
            if ra_ring_length(ring) == 0 and not atomic_load_u32(&w.rescan):
                return

    def linger(self, u64 queue=0):
        """Look for completions, and for records in a queue, for a moment: a wake-up of the loop costs more than the looks.

        Whoever brings something meanwhile sends no datagram, so the caller does what it does at a wake-up.

        Args:
            queue: offset of the queue; 0 for none.

        Returns:
            Whether the queue has records.
        """
        cdef ra_heap *h = &self.arena.heap
        cdef ra_waiter *w = ra_waiter_at(h, self.index)
        cdef ra_queue *ring = queue_at(h, self.ring)
        cdef ra_queue *q = queue_at(h, queue) if queue else NULL
        cdef u64 until = ra_now_ns() + LINGER
        atomic_store_u32(&w.armed, 0)  # who brings something need not wake us
        with nogil:
            while (q == NULL or ra_queue_length(h, q) == 0) and ra_ring_length(ring) == 0 and ra_now_ns() < until:
                ra_relax()
        self.collect()
        return q != NULL and ra_queue_length(h, q) != 0

    cdef _settle(self, u64 entry):
        cdef list waiting = self.pending.pop(entry, None)
        if waiting is not None:
            self.n_settled += 1
            self.retake()
            for pair in waiting:
                if not pair[1].done():
                    pair[1].set_result(None)

    def fail_all(self, error):
        """Give every future an exception: the node is gone."""
        pending, self.pending = self.pending, {}
        self.retake()
        for waiting in pending.values():
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error)

    def forget_all(self):
        """Drop all watches: their loop is gone."""
        self.pending.clear()
        self.retake()

    @property
    def n_pending(self):
        """How many objects are waited for."""
        return len(self.pending)

    def close(self):
        """Leave the waiter table."""
        cdef ra_heap *h = &self.arena.heap
        if self.socket is None:
            return
        self.retake()
        self.socket.close()
        self.socket = None
        self.descriptor = -1
        if not h.closed:
            try:
                os.unlink(self.path)
            except FileNotFoundError:
                pass  # the session's directory is gone already
            atomic_store_u32(&ra_waiter_at(h, self.index).armed, 0)
            # The ring stays for the next loop in this place: a completer may hold its offset.
            atomic_store_u32(&ra_waiter_at(h, self.index).kind, RA_WAITER_FREE)


add_counts(RA_LIVE)
ra_count_type(LoopWaiter)
