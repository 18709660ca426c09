"""View of the node process on records: it releases, claims and ends them, and runs lost ones again.

Offsets that come from other processes are checked before they are followed.
"""

import struct

from libc.stdint cimport int64_t

from ray_async._core.arena cimport Arena, add_counts
from ray_async._core.codec cimport *
from ray_async._core.layout cimport *
from ray_async._core.object_view cimport raw_bytes, stream_bytes
from ray_async._core.stream cimport Stream


cdef enum:
    PLAIN_DEPTH = 8         # nested values


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


cdef inline bint is_same(ra_record *r, u64 word) noexcept nogil:
    """Whether what was read since ``word`` is of one record: another one may have taken the place meanwhile."""
    atomic_fence(memory_order_seq_cst)
    return RA_R_GEN(atomic_load_u64(&r.word)) == RA_R_GEN(word)


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
    if is_same(r, word):
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
    cdef u64 seq = r.seq, parent = r.parent, parent_seq = r.parent_seq
    cdef u32 scope = r.scope, kind = r.kind
    if is_same(r, word):
        with gil:
            (<list>u.found).append((offset, seq, parent, parent_seq, scope, kind, RA_R_FLAGS(word)))


cdef class PlainReader:
    """Reads a value in the compact encoding out of bytes that may be anything. A reference is read as None.

    Args:
        data: the encoded value.
    """

    cdef bytes data
    cdef Py_ssize_t at

    def __init__(self, bytes data):
        self.data = data

    cdef bytes _take(self, Py_ssize_t size):
        if size > len(self.data) - self.at:
            raise ValueError("the value is cut off")
        self.at += size
        return self.data[self.at - size:self.at]

    cdef _count(self):
        return int.from_bytes(self._take(4), "little")

    cpdef read(self, int depth):
        """The next value; ValueError for what is none."""
        cdef int tag = self._take(1)[0]
        if depth > PLAIN_DEPTH:
            raise ValueError("the value is too deep")
        if tag <= T_FALSE:
            return (None, True, False)[tag]
        if tag == T_INT8 or tag == T_INT:
            return int.from_bytes(self._take(1 if tag == T_INT8 else 8), "little", signed=True)
        if tag == T_FLOAT:
            return struct.unpack("<d", self._take(8))[0]
        count = self._count()
        if tag == T_STR:
            return self._take(count).decode()
        if tag == T_BYTES:
            return self._take(count)
        if tag == T_REF or tag == T_ARG:
            return None
        if count > len(self.data):
            raise ValueError("the value is cut off")
        if tag == T_DICT:
            return {self._key(depth): self.read(depth + 1) for _ in range(count)}
        if tag == T_TUPLE or tag == T_LIST:
            return tuple([self.read(depth + 1) for _ in range(count)])
        raise ValueError("there is no such tag")

    cdef _key(self, int depth):
        key = self.read(depth + 1)
        if not isinstance(key, str):
            raise ValueError("a key is no string")
        return key


cdef struct Outline:
    ra_heap *heap
    void *found    # a list


cdef void visit_outline(void *context, u64 offset) noexcept nogil:
    cdef Outline *o = <Outline *>context
    cdef ra_record *r = ra_record_at(o.heap, offset)
    cdef u64 word = atomic_load_u64(&r.word), entry
    cdef u64 seq = r.seq, actor = r.actor, fn = r.fn, opts = r.opts, parent_seq = r.parent_seq
    cdef u32 kind = r.kind, job = r.job, i, n = ra_record_returns(o.heap, offset)
    cdef bint failed = False, cancelled = RA_R_FLAGS(word) & RA_RF_CANCEL != 0
    for i in range(1 if r.kflags & RA_KF_STREAM and n == 2 else 0, n):
        entry = atomic_load_u64(&r.returns[i].word)
        failed = failed or RA_STATE(entry) == RA_ERROR
    if is_same(r, word):
        with gil:
            (<list>o.found).append((
                offset, seq, kind, RA_R_STATE(word), RA_R_ATTEMPT(word), cancelled, RA_R_RUNNER(word), job, actor, fn, opts,
                failed, parent_seq,
            ))


cdef struct Queues:
    ra_heap *heap
    u64 last
    void *found    # a set


cdef void visit_queue(void *context, u64 offset) noexcept nogil:
    cdef Queues *q = <Queues *>context
    cdef u64 queue = ra_record_at(q.heap, offset).queue
    if queue == q.last or not ra_record_needs_queue(q.heap, offset):
        return
    q.last = queue
    with gil:
        (<set>q.found).add(queue)


cdef class RecordView:
    """The node's hands on records.

    Args:
        arena: the session's shared memory, joined as the node.
    """

    cdef readonly Arena arena

    def __init__(self, Arena arena):
        self.arena = arena

    def is_record(self, u64 offset):
        """Whether an offset from another process is a record."""
        return bool(ra_block_check(self.arena.open(), offset, RA_CHUNK_REC)) and 1 <= self.record_state(offset) <= 6

    def record_state(self, u64 record):
        return RA_R_STATE(atomic_load_u64(&ra_record_at(self.arena.open(), record).word))

    def runner(self, u64 record):
        """Slot of the process that runs a record."""
        return RA_R_RUNNER(atomic_load_u64(&ra_record_at(self.arena.open(), record).word))

    def queue_of(self, u64 record):
        """The queue that a record goes to: its class's or its actor's."""
        return ra_record_at(self.arena.open(), record).queue

    def record_of(self, u64 entry):
        """The record that makes an entry, or 0."""
        cdef ra_entry *e = ra_entry_at(self.arena.open(), entry)
        if RA_FLAGS(atomic_load_u64(&e.word)) & RA_EF_IN_RECORD:
            return ra_record_of(entry, e.index)
        return 0

    def function_of(self, u64 record):
        """Export of the function that a record runs, as its exporter wrote it."""
        return raw_bytes(self.arena, ra_record_at(self.arena.open(), record).fn)

    def plain_options(self, u64 record):
        """Rare options of a call, as far as they are of builtin types; empty where there are none.

        Nothing is unpickled, and no size is believed: another process wrote it.
        """
        cdef ra_heap *h = self.arena.open()
        cdef u64 opts = ra_record_at(h, record).opts
        if not opts or not ra_block_check(h, opts, RA_CHUNK_OBJ):
            return {}
        if RA_FORMAT(atomic_load_u64(&ra_entry_at(h, opts).word)) != RA_F_FAST:
            return {}
        data = stream_bytes(self.arena, ra_entry_at(h, opts).payload)
        try:
            found = PlainReader(data or b"").read(0)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

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

    def outlines(self):
        """What a listing wants first to know of all records.

        Each is ``(offset, seq, kind, state, attempt, cancelled, runner, job, actor, fn, opts, failed, parent_seq)``;
        ``failed`` is whether a return is an error.
        """
        cdef Outline o
        cdef list found = []
        o.heap = self.arena.open()
        o.found = <void *>found
        ra_each_record(o.heap, visit_outline, &o)
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

    def queues(self):
        """The queues that records of tasks may still go to; in one look."""
        cdef Queues q
        cdef set found = set()
        q.heap = self.arena.open()
        q.last = 0
        q.found = <void *>found
        ra_each_record(q.heap, visit_queue, &q)
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

    def claim(self, u64 record, bint queued=False):
        """Claim a waiting record (or a queued one that need not be in its queue) for the node, to fail it.

        Returns False when it was cancelled, or someone else has it.
        """
        cdef ra_heap *h = self.arena.open()
        cdef ra_record *r = ra_record_at(h, record)
        cdef u64 word = atomic_load_u64(&r.word)
        while RA_R_STATE(word) == (RA_REC_QUEUED if queued else RA_REC_WAITING):
            if atomic_cas_u64(&r.word, &word, RA_R_WORD(RA_REC_RUNNING, RA_R_FLAGS(word), RA_R_ATTEMPT(word), RA_R_GEN(word), h.slot)):
                return True
        return False

    def hold(self, u64 record):
        """Be the runner of a record whose process has died, until it is queued again."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_record *r = ra_record_at(h, record)
        cdef u64 word = atomic_load_u64(&r.word)
        while RA_R_STATE(word) == RA_REC_RUNNING:
            if atomic_cas_u64(&r.word, &word, RA_R_WORD(RA_REC_RUNNING, RA_R_FLAGS(word), RA_R_ATTEMPT(word), RA_R_GEN(word), h.slot)):
                return

    def outcome(self, u64 record):
        """Whether all returns are complete already: a worker that dies after that has done its task."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_record *r = ra_record_at(h, record)
        cdef u32 i, n = ra_record_returns(h, record)
        cdef u64 word
        if r.kflags & RA_KF_STREAM and n == 2:
            # The whole is complete before the end of the items is there. For that end the node needs the whole's error,
            # which is freed once nobody refers to the whole.
            word = atomic_load_u64(&r.returns[1].word)
            return RA_STATE(word) == RA_VALUE or RA_STATE(word) == RA_ERROR and not RA_FLAGS(word) & RA_EF_DEAD
        for i in range(n):
            if RA_STATE(atomic_load_u64(&r.returns[i].word)) == RA_PENDING:
                return False
        return r.n_returns > 0

    def failure(self, u64 record):
        """What the first return that is an error holds, of a stream as a whole: bytes, the mark of an error without room, or None."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_record *r = ra_record_at(h, record)
        cdef u64 word
        cdef u32 i, n = ra_record_returns(h, record)
        for i in range(1 if r.kflags & RA_KF_STREAM and n == 2 else 0, n):
            word = atomic_load_u64(&r.returns[i].word)
            if RA_STATE(word) == RA_ERROR and RA_FORMAT(word) == RA_F_INT:
                return <int64_t>r.returns[i].payload
            if RA_STATE(word) == RA_ERROR and RA_FORMAT(word) == RA_F_BYTES and not RA_FLAGS(word) & RA_EF_DEAD:
                return stream_bytes(self.arena, r.returns[i].payload)
        return None

    def finish(self, u64 record, u32 slot):
        """End a record that the killed process in ``slot`` ran, and whose returns are complete."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_record *r = ra_record_at(h, record)
        ra_returns_repair(h, record, slot)
        if r.kflags & RA_KF_STREAM and ra_record_returns(h, record) == 2:
            Stream(self.arena, record).close(self.failure(record))
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
            if RA_STATE(word) == RA_ERROR and RA_FORMAT(word) == RA_F_BYTES and not RA_FLAGS(word) & RA_EF_DEAD:
                return stream_bytes(self.arena, e.payload)
        return None

    def can_rebuild(self, u64 record):
        """Whether a task is finished and can run again: it may be retried, and its arguments are kept."""
        cdef ra_record *r = ra_record_at(self.arena.open(), record)
        return (
            RA_R_STATE(atomic_load_u64(&r.word)) == RA_REC_DONE and r.kind == RA_KIND_TASK
            and atomic_load_i32(&r.retries) != 0 and not r.kflags & (RA_KF_STREAM | RA_KF_ARGS_FREED)
        )

    def rebuild(self, u64 record):
        """Have a finished task run again for results that were lost: it waits for its arguments from now on.

        Returns the file numbers of the spilled results that it makes anew, or None when its arguments are not kept.
        """
        cdef ra_heap *h = self.arena.open()
        cdef ra_record *r = ra_record_at(h, record)
        cdef u64 word = atomic_load_u64(&r.word), entry_word, kept = r.tail
        cdef ra_entry *e
        cdef u32 i
        cdef list numbers = []
        if not self.can_rebuild(record):
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
        while not atomic_cas_u64(&r.word, &word, RA_R_WORD(RA_REC_WAITING, 0, RA_R_ATTEMPT(word) + 1, RA_R_GEN(word), 0)):
            pass
        return numbers

    # -- of actors' __init__ --

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


add_counts(RA_LIVE)
