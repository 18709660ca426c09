"""Waits of an event loop for objects: completions arrive in a ring, a datagram says that there are some.

Nothing here knows asyncio: futures are objects with ``done()`` and ``set_result(None)``, a loop is one with ``call_soon``.
"""

import os
import socket

cimport cython

from ray_async._core.arena cimport Arena, add_counts
from ray_async._core.layout cimport *
from ray_async._core.object_ref cimport ObjectRef

cdef extern from "<sys/socket.h>" nogil:
    ssize_t recv(int, void *, size_t, int)
    int MSG_DONTWAIT

cdef enum:
    LINGER = 60000          # ns that a loop without anything to do looks for work before it sleeps


@cython.no_gc
cdef class Watch:
    """One party that waits for an object on a loop. What it does then is its own matter."""

    cdef int settle(self, LoopWaiter waiter) except -1:
        """The object is complete, or a wake-up came for an earlier one in its place. The watch is over."""
        return 0

    cdef int fail(self, LoopWaiter waiter, error) except -1:
        """The object will not come any more. The watch is over."""
        return 0

    cdef int drop(self) except -1:
        """The loop is gone, and the watch with it: nobody is to be called."""
        return 0

    cdef int run(self, LoopWaiter waiter) except -1:
        """The loop calls, as it was requested to. Only what is to end the loop is raised."""
        return 0


@cython.final
@cython.no_gc
cdef class FutureWatch(Watch):
    """A watch that settles a future."""

    cdef object future

    cdef int settle(self, LoopWaiter waiter) except -1:
        # A wake-up for an earlier object in the same place says nothing of this one. One that has gone to disk meanwhile
        # is complete: whoever waits reads it, and asks for it again.
        cdef u64 word = atomic_load_u64(&ra_entry_at(&waiter.arena.heap, self.ref.at()).word)
        if RA_STATE(word) == RA_PENDING and waiter.add(self):
            return 0
        if not self.future.done():
            self.future.set_result(None)
        return 0

    cdef int fail(self, LoopWaiter waiter, error) except -1:
        if not self.future.done():
            self.future.set_exception(error)
        return 0


cdef class LoopWaiter:
    """One loop's place in the waiter table.

    Watch ``fileno()`` for reading and call ``on_readable``.

    Args:
        arena: the session's shared memory.
    """

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
        self.ready = []
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

    cdef bint is_open(self) noexcept:
        return self.socket is not None

    cdef int add(self, Watch watch) except -1:
        """Have ``watch`` settled once its reference is complete. Returns 0, and does nothing, when it is already."""
        cdef u64 entry = watch.ref.at()
        cdef ra_heap *h = &self.arena.heap
        if not ra_watch(h, entry, self.index):
            return 0
        self.arena.check_node()
        if RA_STATE(atomic_load_u64(&ra_entry_at(h, entry).word)) == RA_SPILLED:
            ra_event(h, RA_EV_LOST, entry)
        waiting = self.pending.get(entry)
        if waiting is None:
            self.pending[entry] = watch
        elif type(waiting) is dict:
            (<dict>waiting)[watch] = None
        else:
            self.pending[entry] = {waiting: None, watch: None}
        return 1

    cdef int remove(self, Watch watch) except -1:
        """Take back an `add`. Returns whether it was in force."""
        waiting = self.pending.get(watch.ref.entry)
        if waiting is None:
            return 0
        if type(waiting) is dict:
            if (<dict>waiting).pop(watch, self) is self:
                return 0
            if <dict>waiting:
                return 1
        elif waiting is not watch:
            return 0
        del self.pending[watch.ref.entry]
        if not self.pending:
            self.retake()
        return 1

    cdef int notice(self) except -1:
        """Notify the binding of a new watch, where it may want to know."""
        if self.on_watch is not None and (self.arena.gives_cpu_back or len(self.pending) == 1):
            self.on_watch()
        return 0

    def watch(self, ObjectRef ref, future):
        """Settle ``future`` once ``ref`` is complete. Returns False, and does nothing, when it is already."""
        cdef FutureWatch watch = FutureWatch.__new__(FutureWatch)
        watch.ref, watch.future = ref, future
        return bool(self.add(watch))

    def forget(self, ObjectRef ref, future):
        """Take back a ``watch`` whose future nobody waits for any more."""
        waiting = self.pending.get(ref.entry)
        for watch in list(waiting) if type(waiting) is dict else [waiting]:
            if type(watch) is FutureWatch and (<FutureWatch>watch).future is future:
                self.remove(watch)

    def lend(self):
        """Report to the node that this worker does nothing but wait: its CPU goes to others, who may be what it waits for."""
        if not self.lent:
            self.lent = True
            ra_lend_cpu(&self.arena.heap)

    cdef int retake(self) except -1:
        if self.lent:
            self.lent = False
            if not self.arena.heap.closed:
                ra_retake_cpu(&self.arena.heap)
        return 0

    cdef int request(self, Watch watch) except -1:
        """Have the loop call ``watch.run``, soon, with all others that are ready then."""
        self.ready.append(watch)
        return self.schedule()

    cdef int schedule(self) except -1:
        if self.ready and not self.scheduled:
            self._loop().call_soon(self.run_ready)
            self.scheduled = True
        return 0

    cdef object _loop(self):
        loop = self.loop()
        if loop is None:
            raise RuntimeError("the event loop that waited for this is gone")
        return loop

    def run_ready(self):
        """Call what was requested."""
        self.scheduled = False
        self.deliver()

    cdef int deliver(self) except -1:
        cdef list batch = self.ready
        cdef Py_ssize_t i, n = len(batch)
        cdef Watch watch
        if n and self.before_run is not None:
            self.before_run()
            batch, n = self.ready, len(self.ready)
        self.ready = []
        for i in range(n):
            watch = batch[i]
            batch[i] = None
            try:
                watch.run(self)
            except BaseException:
                # What ends the loop, which may be run again: the others come then.
                self.ready = batch[i + 1:] + self.ready
                self.schedule()
                raise
        return 0

    def begin(self):
        """A loop begins to watch the descriptor: it gets what comes from now on, and what has come."""
        self.scheduled = self.resting = False
        self.collect()

    def on_readable(self):
        """Settle all that has completed; the loop calls this, and what is ready runs at once."""
        cdef ra_heap *h = &self.arena.heap
        cdef char datagram[16]
        # One datagram for each time that the waiter was armed; should there be another one, the loop calls again.
        recv(self.descriptor, datagram, sizeof(datagram), MSG_DONTWAIT)
        if not h.closed:
            self.turn()

    cdef int turn(self) except -1:
        cdef bint scheduled = self.scheduled
        self.scheduled = True  # what becomes ready runs here
        try:
            self.drain()
            if self.ready:
                self.deliver()
        finally:
            self.scheduled = scheduled
            if self.rests and len(self.pending) > 1:
                # What comes while the loop has other things to do is found afterwards, and its senders need not wake it.
                if not self.resting:
                    self._loop().call_soon(self.rest)
                    self.resting = True
            else:
                self.collect()
            self.schedule()
        return 0

    def rest(self):
        """The loop has done what it had to do: go on with what has completed meanwhile, or let the loop sleep."""
        cdef ra_heap *h = &self.arena.heap
        self.resting = False
        if h.closed or self.socket is None:
            return
        if ra_ring_length(queue_at(h, self.ring)):
            self.turn()
            if self.pending:
                self.notice()  # the CPU was taken back
        else:
            self.collect()

    cdef int drain(self) except -1:
        """Settle what is in the ring."""
        cdef ra_heap *h = &self.arena.heap
        cdef ra_queue *ring = queue_at(h, self.ring)
        cdef u64 cell, entry
        while True:
            cell = ra_ring_take(ring, RA_LOOP_RING_LOG2)
            if cell == 0:
                break
            self._settle(RA_CELL_OFFSET(cell))
        if atomic_exchange_u32(&ra_waiter_at(h, self.index).rescan, 0):
            for entry in list(self.pending):
                if self._is_published(entry):
                    self._settle(entry)
        return 0

    cdef bint _is_published(self, u64 entry) except -1:
        """Whether a watched entry has been published since it was watched; else it is watched still, or again.

        It may have been brought back from disk and have gone there again, before this loop looked: nobody watches it then, or only
        who has come since.
        """
        cdef ra_heap *h = &self.arena.heap
        cdef u64 word = atomic_load_u64(&ra_entry_at(h, entry).word)
        if RA_STATE(word) not in (RA_PENDING, RA_BUSY, RA_SPILLED):
            return True
        if RA_WATCHER(word) == 0 and RA_STATE(word) != RA_PENDING:
            return True
        if not ra_watch(h, entry, self.index):
            return True
        if RA_STATE(atomic_load_u64(&ra_entry_at(h, entry).word)) == RA_SPILLED:
            ra_event(h, RA_EV_LOST, entry)
        return False

    cdef int collect(self) except -1:
        """Settle what has completed, and arm the waiter."""
        cdef ra_heap *h = &self.arena.heap
        cdef ra_waiter *w = ra_waiter_at(h, self.index)
        cdef ra_queue *ring = queue_at(h, self.ring)
        while True:
            self.drain()
            # Arm first, look again after: a completion in between is then either seen here or sends a datagram.
            atomic_store_u32(&w.armed, 1)
            atomic_fence(memory_order_seq_cst)
            if ra_ring_mend(ring, RA_LOOP_RING_LOG2):
                atomic_store_u32(&w.rescan, 1)
            if ra_ring_length(ring) == 0 and not atomic_load_u32(&w.rescan):
                return 0

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

    cdef int _settle(self, u64 entry) except -1:
        waiting = self.pending.pop(entry, None)
        if waiting is None:
            return 0
        self.n_settled += 1
        self.retake()
        if type(waiting) is dict:
            for watch in <dict>waiting:
                self._settle_one(watch)
        else:
            self._settle_one(waiting)
        return 0

    cdef int _settle_one(self, Watch watch) except -1:
        try:
            watch.settle(self)
        except Exception as error:  # it cannot wait on: the node is gone, say, which another thread has noted
            watch.fail(self, error)
        return 0

    def fail_all(self, error):
        """Give everyone an exception: the node is gone."""
        for watch in self._take_all():
            (<Watch>watch).fail(self, error)

    def forget_all(self):
        """Drop all watches: their loop is gone."""
        ready, self.ready = self.ready, []
        for watch in self._take_all() + ready:
            (<Watch>watch).drop()

    def _take_all(self):
        pending, self.pending = self.pending, {}
        self.retake()
        found = []
        for waiting in pending.values():
            if type(waiting) is dict:
                found.extend(waiting)
            else:
                found.append(waiting)
        return found

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
