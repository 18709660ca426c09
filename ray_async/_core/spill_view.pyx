"""View of the node process on payloads that move to disk and back."""

from cpython.memoryview cimport PyMemoryView_FromMemory

from ray_async._core.arena cimport Arena, add_counts
from ray_async._core.layout cimport *
from ray_async._core.object_view cimport all_entries
from ray_async._core.store cimport MARK_FAILED, complete_failed

cdef extern from "Python.h":
    int PyBUF_READ, PyBUF_WRITE


cdef inline bint is_running(ra_heap *h, u64 record) noexcept nogil:
    if not ra_block_check(h, record, RA_CHUNK_REC):
        return False
    return RA_R_STATE(atomic_load_u64(&ra_record_at(h, record).word)) == RA_REC_RUNNING


cdef class SpillView:
    """The node's hands on payloads.

    Args:
        arena: the session's shared memory, joined as the node.
    """

    cdef readonly Arena arena

    def __init__(self, Arena arena):
        self.arena = arena

    cdef bint _may_move(self, u64 offset):
        cdef ra_entry *e = ra_entry_at(&self.arena.heap, offset)
        cdef u64 word = atomic_load_u64(&e.word)
        return (
            RA_STATE(word) == RA_VALUE and e.size >= RA_SPILL_MINIMUM and ra_has_payload(word)
            and not RA_FLAGS(word) & (RA_EF_EMBEDDED | RA_EF_DEAD) and atomic_load_u32(&e.views) == 0
            and RA_FORMAT(word) != RA_F_RAW and e.payload < self.arena.heap.split  # what is on disk takes no memory
        )

    def spill_candidates(self, u64 wanted):
        """Entries whose payloads, oldest first, sum up to at least ``wanted`` bytes."""
        cdef ra_heap *h = self.arena.open()
        cdef list found = [], entries = []
        cdef ra_entry *e
        cdef u64 offset, total = 0
        for offset in all_entries(self.arena):
            if self._may_move(offset):
                e = ra_entry_at(h, offset)
                entries.append((e.seq & ((<u64>1 << 40) - 1), offset, e.size))
        entries.sort()
        for _, offset, size in entries:
            if total >= wanted:
                break
            found.append(offset)
            total += size
        return found

    def spill_begin(self, u64 entry):
        """Claim a payload and return its bytes as a memoryview, or None when it is in use, or no candidate any more."""
        cdef ra_heap *h = self.arena.open()
        cdef u64 payload, size
        if not ra_entry_check(h, entry) or not self._may_move(entry):
            return None
        payload = ra_spill_begin(h, entry)
        if payload == 0:
            return None
        size = ra_entry_at(h, entry).size
        if not ra_block_check(h, payload, RA_CHUNK_DATA) or size > ra_block_bytes(h, payload):
            ra_spill_end(h, entry, RA_VALUE, payload)
            return None
        return PyMemoryView_FromMemory(<char *>h.base + payload, size, PyBUF_READ)

    def spill_done(self, u64 entry, u64 number):
        """The bytes are on disk as file ``number``: free the memory."""
        cdef ra_heap *h = self.arena.open()
        cdef u64 payload = ra_entry_at(h, entry).payload
        atomic_add_u64(&h.super.spilled, ra_entry_at(h, entry).size)
        ra_spill_end(h, entry, RA_SPILLED, number)
        ra_free(h, payload)

    def copies_lost(self, u32 node):
        """A logical node is gone. Large values of which no other node has a copy: ``[(entry, spill number or 0)]``.

        What a worker still had in hands, as its task's result or in a view, is found when this is asked again after its end.
        """
        cdef ra_heap *h = self.arena.open()
        cdef u32 bit = <u32>1 << (node & 31), before
        cdef list found = []
        cdef ra_entry *e
        cdef u64 offset, word
        for offset in all_entries(self.arena):
            e = ra_entry_at(h, offset)
            word = atomic_load_u64(&e.word)
            if e.size < RA_SPILL_MINIMUM or RA_FORMAT(word) == RA_F_RAW or RA_STATE(word) not in (RA_VALUE, RA_SPILLED):
                continue
            if RA_FLAGS(word) & RA_EF_IN_RECORD and is_running(h, ra_record_of(offset, e.index)):
                continue
            before = atomic_load_u32(&e.copies)
            while before & bit and not atomic_cas_u32(&e.copies, &before, before & ~bit):
                pass
            if before == bit or before == 0 and RA_STATE(word) == RA_VALUE:
                found.append((offset, e.payload if RA_STATE(word) == RA_SPILLED else 0))
        return found

    def keep(self, u64 entry):
        """A value stays although no logical node has a copy: the first node counts as having one."""
        atomic_store_u32(&ra_entry_at(self.arena.open(), entry).copies, 1)

    def drop(self, u64 entry, u64 number):
        """Free a value's memory, as if it were on disk as file ``number``. Returns whether it was not in use."""
        cdef ra_heap *h = self.arena.open()
        cdef u64 payload = ra_spill_begin(h, entry)
        if payload == 0:
            return False
        ra_spill_end(h, entry, RA_SPILLED, number)
        ra_free(h, payload)
        return True

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

    cdef bint _inside(self, u64 offset, u64 size):
        cdef ra_super *s = self.arena.heap.super
        return s.data <= offset < s.bytes and size <= s.bytes - offset

    def restore_begin(self, u64 entry, bint overflow=False):
        """Memory to read a spilled payload into: ``(payload offset, writable memoryview)``; None when there is no room.

        ``overflow``: look for it in the overflow file, not in shared memory.
        """
        cdef ra_heap *h = self.arena.open()
        cdef ra_entry *e = ra_entry_at(h, entry)
        cdef u64 payload = self.arena.alloc_overflow(e.size) if overflow else ra_alloc(h, RA_CHUNK_DATA, e.size)
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
        complete_failed(self.arena, entry, error, MARK_FAILED)

    def forget(self, u64 entry):
        """Free a spilled entry that nobody refers to."""
        return bool(ra_forget(self.arena.open(), entry))

    def set_on_disk(self, u64 size):
        """Publish to processes that put objects into the overflow file how many bytes spilled objects have there already."""
        atomic_store_u64(&self.arena.open().super.on_disk, size)

    def set_spill_stuck(self, u32 count):
        """Publish to processes that wait for room that the node has looked, and how often in a row nothing could be spilled."""
        cdef ra_super *s = self.arena.open().super
        atomic_store_u32(&s.spill_stuck, count)
        atomic_add_u32(&s.spill_answers, 1)


add_counts(RA_LIVE)
