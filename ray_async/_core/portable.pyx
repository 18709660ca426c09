"""Values that cross from one session to another: read out of the arena as they are pickled, and completed from elsewhere.

Nothing is unpickled here. What is built of small builtins is read as such; all else stays a pickle with its buffers, and
the references inside are listed, since they mean nothing in another session.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize

from ray_async._core.arena cimport Arena, add_counts
from ray_async._core.codec cimport decode_payload, decode_value, payload_buffers
from ray_async._core.layout cimport *
from ray_async._core.object_ref cimport ObjectRef, new_ref

REMOTE = <u64>1 << 63  # marks the number of a spilled object that lies in another session, and in no file


cdef tuple pickled(Arena arena, u64 payload, u64 entry):
    """``(stream, buffers, [(offset, number, reference)])`` of a payload that is a pickle."""
    cdef ra_heap *h = &arena.heap
    cdef ra_payload *p = ra_payload_at(h, payload)
    cdef u64 *refs = <u64 *>(p + 1)
    cdef u64 *table = refs + p.n_refs
    cdef list found = []
    cdef u32 i
    for i in range(p.n_refs):
        found.append((refs[i], ra_entry_at(h, refs[i]).seq, new_ref(arena, refs[i])))
    stream = PyBytes_FromStringAndSize(<char *>(table + 2 * p.n_bufs), p.stream)
    return stream, payload_buffers(arena, payload, entry) if p.n_bufs else [], found


def read_value(Arena arena, ObjectRef ref):
    """What a settled object holds, or None while it is on disk.

    Returns:
        ``(is_error, is_pickled, value)``. A value that is pickled is ``(stream, buffers, references)``; any other is built
        of builtins, bytes and references.
    """
    cdef ra_heap *h = arena.open()
    cdef u64 entry = ref.at(), word
    cdef ra_entry *e = ra_entry_at(h, entry)
    cdef u32 state, format
    atomic_add_u32(&e.views, 1)
    try:
        word = atomic_load_u64(&e.word)
        state, format = RA_STATE(word), RA_FORMAT(word)
        if state != RA_VALUE and state != RA_ERROR:
            return None
        if format == RA_F_PICKLE:
            return state == RA_ERROR, True, pickled(arena, e.payload, entry)
        return state == RA_ERROR, False, decode_value(arena, entry)
    finally:
        atomic_sub_u32(&e.views, 1)


def read_arguments(Arena arena, u64 record):
    """The arguments of a claimed record: ``(is_pickled, value, n_direct)``.

    A value that is pickled is ``(stream, buffers, references)``, the first ``n_direct`` of which may be arguments
    themselves; any other is the tuple of positional arguments, with an `ArgRef` for each reference.
    """
    cdef ra_heap *h = arena.open()
    cdef ra_record *r = ra_record_at(h, record)
    if r.args == 0:
        return False, (), 0
    cdef u64 word = atomic_load_u64(&ra_payload_at(h, r.args).word)
    cdef u32 format = <u32>(word >> 8 & 0xff)
    if format != RA_F_PICKLE:
        return False, decode_payload(arena, r.args, format, 0), word >> 16 & 0xffff
    return True, pickled(arena, r.args, 0 if r.n_returns == 0 else record + sizeof(ra_record)), word >> 16 & 0xffff


def function_of(Arena arena, u64 record):
    """Offset and number of the definition that a record runs; the number is the session's."""
    cdef ra_heap *h = arena.open()
    cdef ra_record *r = ra_record_at(h, record)
    return r.fn, ra_entry_at(h, r.fn).seq


def raw_at(Arena arena, u64 entry):
    """Bytes of a definition that a claimed record keeps."""
    return decode_payload(arena, ra_entry_at(arena.open(), entry).payload, RA_F_RAW, 0)


def options_of(Arena arena, u64 record):
    """A reference to the rare options of a claimed record's call, or None."""
    cdef ra_record *r = ra_record_at(arena.open(), record)
    return new_ref(arena, r.opts) if r.opts else None


def call_of(Arena arena, u64 record):
    """What a record asks of its call: ``{"n_returns", "stream", "is_async", "detached", "backpressure"}``."""
    cdef ra_record *r = ra_record_at(arena.open(), record)
    return {
        "n_returns": r.n_returns, "stream": bool(r.kflags & RA_KF_STREAM), "is_async": bool(r.kflags & RA_KF_ASYNC),
        "detached": bool(r.kflags & RA_KF_DETACHED), "backpressure": r.backpressure,
    }


def return_of(Arena arena, u64 record, u32 index):
    """A reference to one of the returns of a running record; None when nobody refers to it any more."""
    cdef ra_heap *h = arena.open()
    cdef u64 entry = record + sizeof(ra_record) + index * sizeof(ra_entry)
    if RA_FLAGS(atomic_load_u64(&ra_entry_at(h, entry).word)) & RA_EF_DEAD:
        return None
    return new_ref(arena, entry)


def offset_of(ObjectRef ref):
    """Where an object is in the arena."""
    return ref.at()


def number_of(Arena arena, ObjectRef ref):
    """The number that distinguishes an object from an earlier one in its place."""
    return ra_entry_at(arena.open(), ref.at()).seq


def reference_at(Arena arena, u64 entry):
    """A reference to an object that an agent's own table names; None when nothing refers to it any more."""
    cdef ra_heap *h = arena.open()
    cdef ObjectRef ref
    cdef u64 hold
    if not ra_entry_check(h, entry):
        return None
    hold = ra_hold_alive(h, entry)
    if hold == 0:
        return None
    ref = ObjectRef.__new__(ObjectRef)
    ref.arena, ref.entry, ref.hold = arena, entry, hold
    ra_count_reference(1)
    return ref


def size_of(Arena arena, ObjectRef ref):
    """Bytes of a settled object's payload; 0 for a value that has none."""
    cdef ra_entry *e = ra_entry_at(arena.open(), ref.at())
    return e.size if ra_has_payload(atomic_load_u64(&e.word)) else 0


def complete_elsewhere(Arena arena, u64 entry, u64 number, u64 size):
    """Complete a pending entry with a value that lies in another session: as if it were spilled, under a marked number.

    Who wants it, or lets it go, lets the node know, which asks `REMOTE` of the number. Returns whether it was pending.
    """
    return bool(ra_complete(arena.open(), entry, RA_SPILLED, RA_F_PICKLE, 0, number | REMOTE, size))


def elsewhere(Arena arena, u64 entry):
    """The number of an entry whose value lies in another session; 0 for any other."""
    cdef ra_heap *h = arena.open()
    if not ra_entry_check(h, entry) or RA_STATE(atomic_load_u64(&ra_entry_at(h, entry).word)) != RA_SPILLED:
        return 0
    return ra_entry_at(h, entry).payload & ~REMOTE if ra_entry_at(h, entry).payload & REMOTE else 0


def expect_here(Arena arena, u64 entry, u64 number):
    """Make an entry pending whose value is about to come from another session. Returns whether it still lies there."""
    cdef ra_heap *h = arena.open()
    cdef ra_entry *e = ra_entry_at(h, entry)
    cdef u64 word = atomic_load_u64(&e.word)
    while RA_STATE(word) == RA_SPILLED and e.payload == (number | REMOTE):
        if atomic_cas_u64(&e.word, &word, (word & ~<u64>0xff) | RA_PENDING):
            return True
    return False


add_counts(RA_LIVE)
