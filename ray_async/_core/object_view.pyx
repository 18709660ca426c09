"""View of the node process on objects: references, promises, actors.

Offsets that come from other processes are checked before they are followed.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.string cimport memcpy

from ray_async._core.arena cimport Arena, add_counts
from ray_async._core.layout cimport *
from ray_async._core.object_ref cimport ObjectRef, new_ref
from ray_async._core.store cimport MARK_FAILED, complete_failed


cdef bytes stream_bytes(Arena arena, u64 payload):
    """Bytes of a payload's stream, or None when it is damaged."""
    cdef ra_heap *h = arena.open()
    cdef u64 length = 0, at = ra_payload_stream(h, payload, &length)
    return PyBytes_FromStringAndSize(<char *>h.base + at, length) if at else None


cdef bytes raw_bytes(Arena arena, u64 entry):
    """Bytes of a RAW entry that another process named, or None when it is not one."""
    cdef ra_heap *h = arena.open()
    cdef ra_entry *e
    cdef u64 word
    if not ra_block_check(h, entry, RA_CHUNK_OBJ):
        return None
    e = ra_entry_at(h, entry)
    word = atomic_load_u64(&e.word)
    if RA_FORMAT(word) != RA_F_RAW or RA_STATE(word) != RA_VALUE or e.size > (1 << 26):
        return None
    data = stream_bytes(arena, e.payload)
    return None if data is None or len(data) > e.size else data


cdef void visit_any(void *context, u64 offset) noexcept nogil:
    with gil:
        (<list>context).append(offset)


cdef list all_entries(Arena arena):
    """Offsets of every entry: objects, and the returns of records."""
    cdef ra_heap *h = arena.open()
    cdef list found = [], records = []
    cdef u64 offset
    cdef u32 i
    ra_each_object(h, visit_any, <void *>found)
    ra_each_record(h, visit_any, <void *>records)
    for offset in records:
        for i in range(ra_record_returns(h, offset)):
            found.append(offset + sizeof(ra_record) + i * sizeof(ra_entry))
    return found


def holders(Arena arena):
    """What takes the shared memory, as bytes of each kind; a look at a moving picture, so the sum is a near one."""
    cdef ra_heap *h = arena.open()
    cdef dict found = dict.fromkeys(("viewed", "values", "arguments", "lineage", "unsealed", "queues", "small"), 0)
    cdef list records = []
    cdef u64 offset, word, length
    cdef u32 i, kind
    ra_each_record(h, visit_any, <void *>records)
    for offset in all_entries(arena):
        word = atomic_load_u64(&ra_entry_at(h, offset).word)
        if ra_has_payload(word) and not RA_FLAGS(word) & RA_EF_EMBEDDED:
            kind_of = "viewed" if atomic_load_u32(&ra_entry_at(h, offset).views) else "values"
            found[kind_of] += run_bytes(h, ra_entry_at(h, offset).payload)
    for offset in records:
        word = atomic_load_u64(&ra_record_at(h, offset).word)
        if ra_record_at(h, offset).kflags & RA_KF_SEPARATE_ARGS:
            kind_of = "arguments" if RA_R_STATE(word) < RA_REC_DONE else "lineage"
            if ra_record_returns(h, offset) and atomic_load_u32(&ra_entry_at(h, offset + sizeof(ra_record)).views):
                kind_of = "viewed"
            found[kind_of] += run_bytes(h, ra_record_at(h, offset).args)
    for i in range(ra_chunks_used(h)):
        word = atomic_load_u64(&ra_chunk_at(h, i).word)
        kind, length = RA_CHUNK_KIND(word), RA_CHUNK
        if kind == RA_CHUNK_HEAD:
            length *= atomic_load_u32(&ra_chunk_at(h, i).length)
            found["unsealed" if RA_CHUNK_CLASS(word) == RA_CHUNK_DATA else "queues"] += length
        elif kind != RA_CHUNK_FREE and kind != RA_CHUNK_TAIL:
            found["small"] += length
    # What is known to hold a run of its own was counted there.
    known = found["viewed"] + found["values"] + found["arguments"] + found["lineage"]
    found["unsealed"] = max(0, found["unsealed"] - known)
    return found


cdef u64 run_bytes(ra_heap *h, u64 payload) noexcept nogil:
    """Bytes of a payload that has a run of shared memory to itself, else 0: then it counts among the small ones."""
    return ra_block_bytes(h, payload) if payload < h.split and ra_is_run(h, payload) else 0


cdef class ObjectView:
    """The node's hands on objects and actors.

    Args:
        arena: the session's shared memory, joined as the node.
    """

    cdef readonly Arena arena

    def __init__(self, Arena arena):
        self.arena = arena

    def raw(self, u64 entry):
        """Bytes of a RAW entry that another process named, or None when it is not one."""
        return raw_bytes(self.arena, entry)

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

    def reference(self, u64 entry):
        """A reference to an entry that something else keeps alive at the moment."""
        self._entry(entry)
        return new_ref(self.arena, entry)

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
        complete_failed(self.arena, promise.at(), error, MARK_FAILED)

    def objects(self):
        """Values that something refers to: ``[(id, bytes, references)]``; definitions and the like are left out."""
        cdef ra_heap *h = self.arena.open()
        cdef list rows = []
        cdef ra_entry *e
        cdef u64 offset, word
        cdef u32 count
        for offset in all_entries(self.arena):
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
            a.entry.seq, raw_bytes(self.arena, a.spec), a.queue, a.creation, a.job, atomic_load_u32(&a.entry.refs),
            atomic_load_u32(&a.state),
        )

    def actor_references(self, u64 offset):
        return atomic_load_u32(&actor_at(self.arena.open(), offset).entry.refs)

    def set_actor(self, u64 offset, u32 state, u32 slot=0):
        """Set an actor's state (2 alive, 3 restarting, 4 dead) and its worker."""
        cdef ra_actor *a = actor_at(self.arena.open(), offset)
        atomic_store_u32(&a.slot, slot)
        atomic_store_u32(&a.state, state)

    def count_restart(self, u64 offset):
        """Note that an actor begins again."""
        atomic_add_u32(&actor_at(self.arena.open(), offset).restarts, 1)

    def free_actor(self, u64 offset):
        """Free a dead actor that nothing refers to."""
        cdef ra_heap *h = self.arena.open()
        cdef ra_actor *a = actor_at(h, offset)
        cdef u64 spec = a.spec, queue = a.queue
        ra_queue_free(h, queue)
        if ra_entry_check(h, spec):
            ra_unpin(h, spec)
        ra_free(h, offset)


add_counts(RA_LIVE)
