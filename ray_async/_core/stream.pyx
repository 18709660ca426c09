"""Streams: the items of a generator task, as its producer makes them."""

from cpython.exc cimport PyErr_CheckSignals

from ray_async._core.arena cimport Arena, add_counts
from ray_async._core.layout cimport *
from ray_async._core.store cimport MARK_CANCELLED, MARK_FAILED, complete_with


cdef void leave_stream(ra_heap *h, u64 record) noexcept nogil:
    """Give back the producer's reference to the stream's last item; the first one, in the record, needs none."""
    cdef ra_record *r = ra_record_at(h, record)
    cdef u64 first = record + sizeof(ra_record), item = r.tail
    if item != first and ra_entry_check(h, item):
        r.tail = first
        ra_unpin(h, item)


cdef class Stream:
    """The producer's end of a stream: a chain of objects, of which the last is pending.

    Args:
        arena: the session's shared memory.
        record: of the streaming call. Its first return is the first item, its second stands for the whole call.
    """

    def __init__(self, Arena arena, u64 record):
        self.arena = arena
        self.record = record

    cdef u64 _first(self):
        return self.record + sizeof(ra_record)

    def add(self, value):
        """Complete the next item and make place for the one after it.

        Raises:
            KeyboardInterrupt: the call is cancelled.
            Exception: the value cannot be serialized. The item is as before.
        """
        if self.arena.forked:
            self.arena.end_if_forked()
        cdef ra_heap *h = &self.arena.heap
        cdef ra_record *r = ra_record_at(h, self.record)
        cdef u64 item = r.tail, following
        cdef bint first = item == self._first()
        cdef ra_entry *e = ra_entry_at(h, item)
        cdef ra_entry *n
        if RA_R_FLAGS(atomic_load_u64(&r.word)) & RA_RF_CANCEL:
            raise KeyboardInterrupt
        following = self.arena.alloc(RA_CHUNK_OBJ, sizeof(ra_entry))
        ra_entry_begin(h, following, r.seq, generation(ra_next_seq(h)), RA_F_NONE, RA_EF_STREAM)
        n = ra_entry_at(h, following)
        n.index, n.owner, n.job, n.size = 2 if first else e.index + 1, r.owner, r.job, self.record
        # Two references: the item before it has one, and the producer has one, until the item after it exists.
        atomic_store_u32(&n.refs, 2)
        # The note for ra_stream_repair, should this process be killed before the tail has moved.
        r.returns[1].payload = following
        ra_entry_publish(h, following, RA_PENDING)
        e.link = following
        try:
            complete_with(self.arena, item, RA_VALUE, value)
        except BaseException:
            e.link = r.returns[1].payload = 0
            ra_free(h, following)
            raise
        r.tail = following
        atomic_add_u32(&r.produced, 1)  # a fence, too, between the tail and the look below
        if not first:
            ra_unpin(h, item)
        if RA_FLAGS(atomic_load_u64(&r.returns[1].word)) & RA_EF_DEAD:
            ra_stream_left(h, self.record)  # a reader that has gone meanwhile looked at the tail before

    def end(self, error):
        """Complete the reference that stands for the whole call, and then the place of the item that will not come.

        Who has seen the end of the items finds the call complete.

        Args:
            error: what both hold, or None for the usual end.
        """
        cdef u64 whole = self._first() + sizeof(ra_entry)
        if error is None:
            complete_with(self.arena, whole, RA_VALUE, None)
        else:
            complete_with(self.arena, whole, RA_ERROR, error)
        self.close(error)

    def close(self, error):
        """Complete the place of the item that will not come, of a stream whose call is complete, and leave the stream."""
        cdef ra_heap *h = &self.arena.heap
        cdef u64 item = ra_record_at(h, self.record).tail
        if ra_entry_check(h, item):
            if error is None:
                ra_complete(h, item, RA_END, RA_F_NONE, 0, 0, 0)
            else:
                complete_with(self.arena, item, RA_ERROR, error)
        leave_stream(h, self.record)

    def position(self):
        """``(items produced, items consumed)``; more than none produced at the start means that this is a retry."""
        cdef ra_record *r = ra_record_at(&self.arena.heap, self.record)
        return atomic_load_u32(&r.produced), atomic_load_u32(&r.consumed)

    def is_abandoned(self):
        """Whether nobody can read the next item any more, or how the call ends."""
        return bool(ra_stream_is_left(&self.arena.heap, self.record))

    def watch_consumer(self, u32 waiter):
        """Have the consumer wake this waiter when it takes an item."""
        atomic_store_u32(&ra_record_at(&self.arena.heap, self.record).consumer_waits, waiter + 1)

    def wait_for_consumer(self, u64 timeout_ns):
        """Sleep until an item is consumed, in a thread; at most so long."""
        cdef ra_heap *h = &self.arena.heap
        cdef ra_record *r = ra_record_at(h, self.record)
        cdef u32 index = self.arena.idle_waiters.pop() if self.arena.idle_waiters else self.arena.new_waiter(RA_WAITER_THREAD)
        cdef ra_waiter *w = ra_waiter_at(h, index)
        try:
            atomic_store_i32(&w.need, 1)
            atomic_store_u32(&r.consumer_waits, index + 1)
            atomic_store_u32(&w.armed, 1)
            if (
                atomic_load_u32(&r.produced) - atomic_load_u32(&r.consumed) >= r.backpressure
                and not RA_R_FLAGS(atomic_load_u64(&r.word)) & RA_RF_CANCEL and atomic_load_i32(&w.need) > 0
            ):
                with nogil:
                    ra_futex_wait(&w.armed, 1, timeout_ns)
            PyErr_CheckSignals()
        finally:
            atomic_store_u32(&w.armed, 0)
            atomic_store_u32(&r.consumer_waits, 0)
            self.arena.idle_waiters.append(index)


cdef int fail_returns(Arena arena, u64 record, object error) except -1:
    """Complete all returns of a record that are pending with an error; a stream ends with it."""
    cdef u32 i, n = ra_record_returns(&arena.heap, record)
    if ra_record_at(&arena.heap, record).kflags & RA_KF_STREAM and n == 2:
        Stream(arena, record).end(error)
    else:
        for i in range(n):
            complete_with(arena, record + sizeof(ra_record) + i * sizeof(ra_entry), RA_ERROR, error)
    return 0


cdef int fail_returns_reserved(Arena arena, u64 record, object error) except -1:
    """The same, with what is kept beyond the limit for errors."""
    arena.heap.reserve = RA_RESERVE
    try:
        return fail_returns(arena, record, error)
    finally:
        arena.heap.reserve = 0


cdef int fail_returns_anyway(Arena arena, u64 record, object error) except -1:
    """The same. Those for whose error there is no room get a mark, which lies in the entry: nobody waits for ever."""
    cdef bint cancelled
    try:
        return fail_returns_reserved(arena, record, error)
    except Exception:
        cancelled = RA_R_FLAGS(atomic_load_u64(&ra_record_at(&arena.heap, record).word)) & RA_RF_CANCEL
        return fail_returns(arena, record, MARK_CANCELLED if cancelled else MARK_FAILED)


add_counts(RA_LIVE)
