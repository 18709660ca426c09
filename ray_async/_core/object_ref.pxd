from ray_async._core.arena cimport Arena
from ray_async._core.layout cimport ra_heap, u8, u32, u64


cdef class ObjectRef:
    cdef Arena arena
    cdef u64 entry  # offset; 0 for an id without an object
    cdef u64 hold   # slot of the hold table
    cdef bytes raw  # the id, where it was given or asked for

    cdef u64 at(self) except 0


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
