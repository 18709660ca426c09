from ray_async._core.arena cimport Arena
from ray_async._core.layout cimport ra_heap, u8, u32, u64


cdef class ObjectRef:
    cdef Arena arena
    cdef u64 entry  # offset; 0 for an id without an object
    cdef u64 hold   # slot of the hold table
    cdef bytes raw  # the id, where it was given or asked for
    cdef u32 hashed # 0: not yet
    cdef unsigned short cancelled_in  # 1 + the waiter of the loop on which waiting for it was cancelled; 0: none
    cdef unsigned char marks

    cdef u64 at(self) except 0


cdef enum:
    MARK_TAKEN = 1      # a party waits for it by a callback, and would be cancelled by `cancel`
    MARK_REPORTED = 2       # it was reported done, and stays so while it lies on disk
    MARK_GIVEN_UP = 4   # waiting for it was cancelled once
    MARK_KEPT = 8       # a value was read to see whether it can be, and is kept until it is asked for


cdef class FutureFace:
    """What references can do as futures of asyncio. The one that does it is in `awaiting`; this one fetches it."""

    cdef object begin(self, ObjectRef ref, bint coroutine)
    cdef object blocking(self, ObjectRef ref)
    cdef object loop(self)
    cdef object add(self, ObjectRef ref, callback, context)
    cdef object remove(self, ObjectRef ref, callback)
    cdef object cancel(self, ObjectRef ref, message)
    cdef bint cancelled(self, ObjectRef ref) except -1
    cdef bint done(self, ObjectRef ref) except -1
    cdef object result(self, ObjectRef ref)
    cdef object exception(self, ObjectRef ref)
    cdef object cancelled_error(self)
    cdef object cancel_message(self)
    cdef void forget(self, ObjectRef ref) noexcept


cdef int set_face(FutureFace face) except -1


cdef class Pin:
    cdef Arena arena
    cdef u64 entry, hold
    cdef u64 faults      # page faults of this process before anybody had the view; 0: not counted
    cdef u8 *image       # the payload as this view's readers see it
    cdef u32 lane        # that the image lies in; RA_NO_LANE where it has a mapping of its own
    cdef size_t mapped   # bytes of that


cdef class Copy:
    cdef void *memory


cdef class Buffer:
    cdef object owner
    cdef void *data
    cdef Py_ssize_t size
    cdef bint is_writable


cdef ObjectRef own_ref(Arena arena, u64 entry)
cdef ObjectRef first_ref(Arena arena, u64 entry)
cdef ObjectRef new_ref(Arena arena, u64 entry)
cdef Pin new_pin(Arena arena, u64 entry, u64 payload)
cdef Copy new_copy(const void *source, size_t size)
cdef Buffer new_buffer(object owner, void *data, Py_ssize_t size)
