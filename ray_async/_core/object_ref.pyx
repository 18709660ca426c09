"""Object references, and the buffers that keep an object in place while Python looks at its memory."""

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from libc.stdlib cimport free
from libc.string cimport memcpy
from posix.mman cimport MAP_PRIVATE, munmap
from posix.stdlib cimport posix_memalign

from ray_async._core.arena cimport Arena, add_counts, current_arena, get_current
from ray_async._core.layout cimport *

cdef enum:
    ALIGNMENT = 64  # bytes, as in the arena
    LONG_RUN = 16   # chunks from which others may run while pages are looked through

# Filled in by the package above: `await ref`, and futures, need an event loop, which this layer knows nothing of.
_hooks = {}


def set_hooks(**functions):
    """Install what references do beyond being counted: ``load_face`` (for asyncio), ``future``, ``as_future``."""
    _hooks.update(functions)


cdef class FutureFace:
    # Each method is called once at most: what it fetches takes its place.
    cdef object begin(self, ObjectRef ref, bint coroutine):
        return fetched().begin(ref, coroutine)

    cdef object blocking(self, ObjectRef ref):
        return fetched().blocking(ref)

    cdef object loop(self):
        return fetched().loop()

    cdef object add(self, ObjectRef ref, callback, context):
        return fetched().add(ref, callback, context)

    cdef object remove(self, ObjectRef ref, callback):
        return fetched().remove(ref, callback)

    cdef object cancel(self, ObjectRef ref, message):
        return fetched().cancel(ref, message)

    cdef bint cancelled(self, ObjectRef ref) except -1:
        return fetched().cancelled(ref)

    cdef bint done(self, ObjectRef ref) except -1:
        return fetched().done(ref)

    cdef object result(self, ObjectRef ref):
        return fetched().result(ref)

    cdef object exception(self, ObjectRef ref):
        return fetched().exception(ref)

    cdef object cancelled_error(self):
        return fetched().cancelled_error()

    cdef object cancel_message(self):
        return fetched().cancel_message()

    cdef void forget(self, ObjectRef ref) noexcept:
        """Of a value that was kept; nothing is, before there is another face."""


cdef FutureFace _unfetched = FutureFace()
cdef FutureFace _face = _unfetched


cdef int set_face(FutureFace face) except -1:
    global _face
    _face = face
    return 0


cdef FutureFace fetched():
    if "load_face" not in _hooks:
        raise ValueError("an object reference can only be awaited while a session runs")
    _hooks["load_face"]()
    return _face


@cython.freelist(1024)
@cython.no_gc
cdef class ObjectRef:
    """A reference to an object that exists or will exist in the object store.

    References are made by ``put`` and by calls of remote functions; they can be awaited, passed to other tasks, and kept in
    data. The object lives for as long as any process has a reference to it.

    Example:
        >>> ref = ray.put([1, 2])
        >>> await ref
        [1, 2]
    """

    def __init__(self, id):
        if not isinstance(id, bytes):
            raise TypeError(f"an object id is made from bytes, not {type(id).__name__}")
        if len(id) != 28:
            raise ValueError(f"an object id needs to have length 28, not {len(id)}")
        self.raw = id

    def __dealloc__(self):
        if self.marks & MARK_KEPT:
            _face.forget(self)
        if self.hold:
            ra_count_reference(-1)
            if self.arena.heap.closed:
                ra_count_slot(-1)
            else:
                ra_release(&self.arena.heap, self.entry, self.hold)

    cdef u64 at(self) except 0:
        if self.entry == 0:
            raise ValueError(f"{self!r} was made from an id: there is no object behind it in this session")
        if self.arena is not get_current() or self.arena.heap.closed:
            raise ValueError(f"{self!r} belongs to a session that has been shut down")
        return self.entry

    @classmethod
    def __class_getitem__(cls, item):
        return cls

    @staticmethod
    def nil():
        """The id that no object has."""
        return ObjectRef(b"\xff" * 28)

    @staticmethod
    def from_random():
        """An id that no object has, for tests."""
        import os
        return ObjectRef(os.urandom(28))

    @staticmethod
    def from_hex(text):
        """The id with the given 56 hexadecimal digits."""
        return ObjectRef(bytes.fromhex(text))

    @staticmethod
    def from_binary(data):
        """The id with the given 28 bytes."""
        return ObjectRef(data)

    @staticmethod
    def size():
        """Bytes of an id."""
        return 28

    def binary(self):
        """The id as 28 bytes: 24 of the task that makes the object, 4 of the index among its returns."""
        cdef ra_entry *e
        if self.raw is None:
            e = ra_entry_at(&self.arena.heap, self.entry)
            self.raw = (
                (<u64>e.seq).to_bytes(8, "little") + self.arena.session[:12]
                + (<u32>e.job).to_bytes(4, "little") + (<u32>e.index + 1).to_bytes(4, "little")
            )
        return self.raw

    def hex(self):
        """The id as 56 hexadecimal digits."""
        return self.binary().hex()

    def is_nil(self):
        """Whether this is the id that no object has."""
        return self.binary() == b"\xff" * 28

    def task_id(self):
        """Id of the task that makes the object."""
        from ray_async.ids import TaskID
        return TaskID(self.binary()[:24])

    def job_id(self):
        """Id of the job that the task belongs to."""
        from ray_async.ids import JobID
        return JobID(self.binary()[20:24])

    def owner_address(self):
        """Where the owner is, as opaque bytes."""
        return self.binary()[8:20]

    def call_site(self):
        """Where the reference was made; empty, since call sites are not recorded."""
        return ""

    def tensor_transport(self):
        """How tensors inside the object travel."""
        return "object_store"

    def __hash__(self):
        cdef u64 mixed
        cdef ra_entry *e
        if self.hashed == 0:
            # Of the id's parts that differ, so that references to look up need no bytes of their ids.
            if self.raw is None:
                e = ra_entry_at(&self.arena.heap, self.entry)
                mixed = e.seq + (<u64>(<u32>e.index + 1) << 40)
            else:
                mixed = (
                    <u64>int.from_bytes(self.raw[:8], "little") + (<u64>int.from_bytes(self.raw[24:], "little") << 40)
                )
            mixed *= <u64>0x9E3779B97F4A7C15
            self.hashed = <u32>(mixed >> 32) or 1
        return self.hashed

    def __eq__(self, other):
        if not isinstance(other, ObjectRef):
            return NotImplemented
        if self.entry and self.entry == (<ObjectRef>other).entry and self.arena is (<ObjectRef>other).arena:
            return True
        return self.binary() == other.binary()

    def __repr__(self):
        return f"ObjectRef({self.hex()})"

    def __reduce__(self):
        """Pickled by hand, outside an argument or result: the object is then kept to the end of the session."""
        if self.entry == 0:
            return ObjectRef, (self.raw,)
        self.at()
        _hooks["out_of_band"](self)
        cdef ra_heap *h = &self.arena.heap
        atomic_add_u32(&ra_entry_at(h, self.entry).refs, 1)
        return load_ref, (self.entry, ra_entry_at(h, self.entry).seq, self.arena.session[:4])

    def __await__(self):
        return _face.begin(self, False)

    def future(self):
        """A ``concurrent.futures.Future`` for the value."""
        return _hooks["future"](self)

    def as_future(self):
        """An ``asyncio.Future`` for the value, of the running loop; cancelling it leaves the task alone."""
        return _hooks["as_future"](self)

    def as_coroutine(self):
        """A coroutine for the value, as ``asyncio.TaskGroup.create_task`` demands."""
        return _face.begin(self, True)

    # What asyncio asks of futures. There is no `__iter__`: `a, b = ref` is a mistake, and shall say so.

    @property
    def _asyncio_future_blocking(self):
        return None if self.entry == 0 else _face.blocking(self)

    @property
    def _state(self):
        return "PENDING" if not _face.done(self) else "CANCELLED" if _face.cancelled(self) else "FINISHED"

    @property
    def _loop(self):
        return _face.loop()

    @property
    def _cancel_message(self):
        return _face.cancel_message()

    def _make_cancelled_error(self):
        return _face.cancelled_error()

    def get_loop(self):
        """The running event loop, for asyncio: a reference belongs to every loop."""
        return _face.loop()

    def add_done_callback(self, callback, *, context=None):
        """Have the running loop call ``callback(ref)`` once the object is there or its task has failed.

        Args:
            callback: called once.
            context: a ``contextvars.Context`` to call it in; None: a copy of the present one.

        Raises:
            RuntimeError: no loop runs in this thread.
        """
        _face.add(self, callback, context)

    def remove_done_callback(self, callback):
        """Take callbacks of the running loop back. Returns how many there were."""
        return _face.remove(self, callback)

    def done(self):
        """Whether the object is there, or its task has failed, or waiting for it was cancelled (see `cancel`)."""
        return _face.done(self)

    def result(self):
        """The value of a reference that is done, without a wait.

        Raises:
            asyncio.InvalidStateError: it is not done.
            asyncio.CancelledError: waiting for it was cancelled.
            RayError: what the task raised.
        """
        return _face.result(self)

    def exception(self):
        """What `result` would raise, for a reference that is done; None where it would not.

        Raises:
            asyncio.InvalidStateError: it is not done.
            asyncio.CancelledError: waiting for it was cancelled.
        """
        return _face.exception(self)

    def cancel(self, msg=None):
        """Cancel the waiting, and not the task (``ray_async.cancel`` does that): asyncio calls this for `gather`.

        What has put the first callback on the reference sees a future that is cancelled. Others do not, nor does who
        awaits the reference now or later.

        Returns:
            Whether anything waited by a callback on the running loop.
        """
        return _face.cancel(self, msg)

    def cancelled(self):
        """Whether waiting for it was cancelled, with nobody waiting for it by a callback since."""
        return _face.cancelled(self)


cdef ObjectRef first_ref(Arena arena, u64 entry):
    """The reference that an entry starts with; None when there is no room to note it.

    It is made before the entry is published: from then on the object comes back when this process is killed.
    """
    cdef ObjectRef ref = ObjectRef.__new__(ObjectRef)
    ref.arena = arena
    ref.entry = entry
    ref.hold = ra_hold_counted(&arena.heap, entry)
    if ref.hold == 0:
        return None
    ra_count_reference(1)
    return ref


cdef ObjectRef own_ref(Arena arena, u64 entry):
    """A reference whose count exists already, which was something else's."""
    cdef ObjectRef ref = first_ref(arena, entry)
    if ref is None:
        ra_unpin(&arena.heap, entry)
        raise no_room()
    return ref


def no_room():
    """The error for a reference that cannot be noted."""
    return MemoryError("no room for one more reference in the session's memory")


cdef ObjectRef new_ref(Arena arena, u64 entry):
    """One more reference to an entry that something else keeps alive at this moment."""
    cdef ObjectRef ref = ObjectRef.__new__(ObjectRef)
    ref.arena = arena
    ref.entry = entry
    ref.hold = ra_hold(&arena.heap, entry)
    if ref.hold == 0:
        raise no_room()
    ra_count_reference(1)
    return ref


def load_ref(u64 entry, u64 seq, bytes session):
    """Rebuild a reference from a payload, or from a pickle made in this session."""
    cdef Arena arena = get_current()
    if arena is None or arena.heap.closed:
        raise ValueError("an object reference can only be unpickled while a session runs")
    cdef ra_heap *h = &arena.heap
    if session != arena.session[:4]:
        raise ValueError("this object reference belongs to another session")
    if not ra_entry_check(h, entry) or ra_entry_at(h, entry).seq != seq:
        raise ValueError("this object reference is to an object that does not exist any more")
    return new_ref(arena, entry)


@cython.no_gc
cdef class Pin:
    """Keeps an object's memory in place, and a private image of it, for buffers that point into that."""

    def __dealloc__(self):
        cdef ra_heap *h
        if self.mapped:
            munmap(self.image, self.mapped)
        if self.hold and self.arena.heap.closed:
            ra_count_slot(-1)
        elif self.hold:
            h = &self.arena.heap
            if self.mapped == 0:
                leave_lane(self)
            # Noted before counted: a kill in between leaves the object viewed for ever, and never a view uncounted.
            atomic_store_u64(<au64 *>(h.base + self.hold), self.entry | RA_HOLD_HELD)
            atomic_sub_u32(&ra_entry_at(h, self.entry).views, 1)
            ra_release(h, self.entry, self.hold)


cdef void leave_lane(Pin pin) noexcept:
    """Before the object is let go: what the view's readers wrote must be gone when its place is read again."""
    cdef Arena arena = pin.arena
    cdef u32 index, lane = pin.lane
    cdef u64 faults = pin.faults
    cdef bint clean
    if lane == RA_NO_LANE:
        return
    index = ra_chunk_index(&arena.heap, <u64>(pin.image - arena.lanes.base[lane]))
    if atomic_load_u32(&ra_chunk_at(&arena.heap, index).length) < LONG_RUN:
        clean = ra_lane_clean(&arena.heap, &arena.lanes, index, lane, faults)
    else:
        with nogil:
            clean = ra_lane_clean(&arena.heap, &arena.lanes, index, lane, faults)
    if clean:
        ra_lane_free(&arena.lanes, index, lane)


cdef Pin new_pin(Arena arena, u64 entry, u64 payload):
    """Keep an object, and the image of its payload, in place.

    None when nothing refers to the object any more, when there is no room to note the view, when the payload shares its
    pages with others, or when the process has too many mappings: then the caller copies.
    """
    cdef Pin pin
    cdef ra_heap *h = &arena.heap
    cdef u32 index
    if not ra_is_run(h, payload):
        return None
    pin = Pin.__new__(Pin)
    pin.arena = arena
    pin.entry = entry
    pin.lane = RA_NO_LANE
    pin.hold = ra_hold_alive(h, entry)
    if pin.hold == 0:
        return None
    atomic_add_u32(&ra_entry_at(h, entry).views, 1)
    atomic_store_u64(<au64 *>(h.base + pin.hold), entry | RA_HOLD_HELD | RA_HOLD_VIEW)
    # A few system calls are dear only where few pages are to be looked through otherwise.
    pin.faults = ra_faults() if ra_block_bytes(h, payload) >= LONG_RUN * RA_CHUNK else 0
    pin.lane = ra_lane_take(h, &arena.lanes, ra_chunk_index(h, payload))
    if pin.lane != RA_NO_LANE:
        pin.image = arena.lanes.base[pin.lane] + payload
        return pin
    pin.image = ra_map(h, NULL, MAP_PRIVATE, payload, ra_block_bytes(h, payload))
    if pin.image == NULL:
        return None
    pin.mapped = ra_block_bytes(h, payload)
    return pin


@cython.no_gc
cdef class Copy:
    """Memory of one reader's own, which goes with the last buffer in it."""

    def __dealloc__(self):
        free(self.memory)


cdef Copy new_copy(const void *source, size_t size):
    cdef Copy copy = Copy.__new__(Copy)
    if posix_memalign(&copy.memory, ALIGNMENT, max(size, 1)) != 0:
        copy.memory = NULL
        raise MemoryError(f"no memory for a copy of {size} bytes of an object")
    memcpy(copy.memory, source, size)
    return copy


@cython.no_gc
cdef class Buffer:
    """Memory of an object as one reader sees it; supports the buffer protocol, read-only unless it was asked otherwise.

    The flag is for libraries that heed it. What others write, stays with the reader: it has pages of its own as soon as it
    writes to them, or a copy.
    """

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.data, self.size, not self.is_writable, flags)

    def __len__(self):
        return self.size

    def writable(self):
        """The same memory for types that know nothing of read-only memory, such as torch's tensors."""
        cdef Buffer buffer = new_buffer(self.owner, self.data, self.size)
        buffer.is_writable = True
        return buffer


cdef Buffer new_buffer(object owner, void *data, Py_ssize_t size):
    """``size`` bytes at ``data``, which are there for as long as ``owner`` is."""
    cdef Buffer buffer = Buffer.__new__(Buffer)
    buffer.owner = owner
    buffer.data = data
    buffer.size = size
    return buffer


add_counts(RA_LIVE)
ra_count_type(Pin)
ra_count_type(Buffer)
ra_count_type(Copy)
