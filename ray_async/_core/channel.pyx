"""Channels of compiled graphs: preallocated rings in the arena that hand references from one process to another."""

from collections import deque

from ray_async._core.arena cimport Arena, add_counts
from ray_async._core.codec cimport decode_value
from ray_async._core.layout cimport *
from ray_async._core.object_ref cimport ObjectRef
from ray_async._core.store cimport read
from ray_async._core.store import put_raw

cdef extern from "channel.h" nogil:
    ctypedef struct ra_bell:
        au32 closed
    ctypedef struct ra_message:
        u64 entry
        u64 seq
    ctypedef struct ra_channel:
        au64 written
        au64 read
    void ra_bell_ring(ra_bell *)
    void ra_bell_close(ra_bell *)
    ra_message *ra_channel_next(ra_channel *, u64 slots, u64 width)
    ra_message *ra_channel_place(ra_channel *, u64 slots, u64 width)
    int ra_channel_wait(ra_bell *, ra_channel *, u64 timeout_ns, u64 *spin)
    u64 RA_BELL_SPIN

cdef enum:
    LINE = 64


def new_bell(Arena arena):
    """Memory of a bell, as a reference that other processes can be given."""
    return put_raw(arena, bytes(sizeof(ra_bell) + LINE))


def new_channel(Arena arena, u64 slots, u64 width):
    """Memory of a channel for ``slots`` messages of ``width`` references each."""
    return put_raw(arena, bytes(sizeof(ra_channel) + slots * width * sizeof(ra_message) + LINE))


cdef class Memory:
    """A place in the arena that several processes write to. It is an object without a value, so that it lives for as long
    as one of them refers to it; the count of views keeps it from being moved to disk."""

    cdef Arena arena
    cdef ObjectRef ref

    def __init__(self, Arena arena, ObjectRef ref):
        atomic_add_u32(&ra_entry_at(arena.open(), ref.at()).views, 1)
        self.arena = arena
        self.ref = ref

    def __dealloc__(self):
        if self.ref is not None and not self.arena.heap.closed:
            atomic_sub_u32(&ra_entry_at(&self.arena.heap, self.ref.entry).views, 1)

    cdef void *at(self) except NULL:
        cdef ra_heap *h = self.arena.open()
        cdef u64 start = <u64>(ra_payload_at(h, ra_entry_at(h, self.ref.at()).payload) + 1)
        return <void *>((start + LINE - 1) // LINE * LINE)


cdef class Bell:
    """What wakes the reader of channels.

    Args:
        arena: the session's shared memory.
        memory: from `new_bell`.
    """

    cdef Memory memory

    def __init__(self, Arena arena, ObjectRef memory):
        self.memory = Memory(arena, memory)

    def close(self):
        """End the channels that have this bell: their reader gets no more messages."""
        ra_bell_close(<ra_bell *>self.memory.at())

    @property
    def closed(self):
        return bool(atomic_load_u32(&(<ra_bell *>self.memory.at()).closed))


cdef class Channel:
    """One end of a channel.

    Args:
        arena: the session's shared memory.
        memory: from `new_channel`.
        bell: the reader's.
        slots: messages that it has room for.
        width: references in each.
    """

    cdef Memory memory
    cdef Bell bell
    cdef u64 slots, width, spin
    cdef object held  # messages that were not read yet when the writer looked

    def __init__(self, Arena arena, ObjectRef memory, Bell bell, u64 slots, u64 width):
        self.memory = Memory(arena, memory)
        self.bell = bell
        self.slots, self.width, self.spin = slots, width, RA_BELL_SPIN
        self.held = deque()

    def send(self, tuple refs):
        """Hand references over; they are kept alive until they were read.

        Raises:
            BufferError: the ring is full.
        """
        cdef ra_channel *c = <ra_channel *>self.memory.at()
        cdef ra_heap *h = &self.memory.arena.heap
        cdef ra_message *place = ra_channel_place(c, self.slots, self.width)
        cdef ObjectRef ref
        cdef u64 i, unread
        if place == NULL or <u64>len(refs) != self.width:
            raise BufferError(f"a channel of {self.slots} messages of {self.width} references has no place for {len(refs)}")
        for i in range(self.width):
            ref = refs[i]
            place[i].entry = ref.at()
            place[i].seq = ra_entry_at(h, ref.entry).seq
        unread = atomic_load_u64(&c.written) - atomic_load_u64(&c.read)
        while <u64>len(self.held) > unread:
            self.held.popleft()
        self.held.append(refs)
        atomic_add_u64(&c.written, 1)
        ra_bell_ring(<ra_bell *>self.bell.memory.at())

    def receive(self, int peer=-1):
        """Wait for the next message.

        Args:
            peer: a descriptor that is readable once the process at the other end is gone; -1: none.

        Returns:
            The references, or None when the bell is closed or the peer or the node is gone.
        """
        cdef Arena arena = self.memory.arena
        cdef ra_heap *h = arena.open()
        cdef ra_channel *c = <ra_channel *>self.memory.at()
        cdef ra_bell *bell = <ra_bell *>self.bell.memory.at()
        cdef ra_message *message
        cdef u64 i, nap = RA_FIRST_NAP
        cdef int code
        while not atomic_load_u32(&bell.closed):
            message = ra_channel_next(c, self.slots, self.width)
            if message != NULL:
                refs = []
                for i in range(self.width):
                    ref = living_ref(arena, message[i].entry, message[i].seq)
                    if ref is None:
                        return None  # its writer died, and its objects with it
                    refs.append(ref)
                atomic_add_u64(&c.read, 1)
                return refs
            with nogil:
                code = ra_channel_wait(bell, c, nap, &self.spin)
            if code == 1:
                nap = ra_next_nap(nap)
                if ra_readable(peer) or ra_readable(arena.node_fd):
                    return None
        return None


cdef ObjectRef living_ref(Arena arena, u64 entry, u64 seq):
    """A reference to an object that may have gone; None then."""
    cdef ra_heap *h = &arena.heap
    cdef ObjectRef ref
    if not ra_entry_check(h, entry):
        return None
    ref = ObjectRef.__new__(ObjectRef)
    ref.arena = arena
    ref.hold = ra_hold_alive(h, entry)
    if ref.hold == 0:
        return None
    ref.entry = entry
    ra_count_reference(1)
    return ref if ra_entry_at(h, entry).seq == seq else None


def outcome(Arena arena, ObjectRef ref):
    """``(failed, value or stored error)`` of an object that is complete."""
    cdef ra_entry *e = ra_entry_at(arena.open(), ref.at())
    if RA_STATE(atomic_load_u64(&e.word)) != RA_ERROR:
        return False, read(arena, ref)
    return True, decode_value(arena, ref.entry)


add_counts(RA_LIVE)
