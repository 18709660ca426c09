from ray_async._core.arena cimport Arena
from ray_async._core.layout cimport ra_heap, u32, u64


cdef class ObjectRef:
    cdef Arena arena
    cdef u64 entry  # offset; 0 for an id without an object
    cdef u64 hold   # slot of the hold table
    cdef bytes raw  # the id, where it was given or asked for

    cdef u64 at(self) except 0


cdef class Pin:
    cdef Arena arena
    cdef u64 entry, hold


cdef class Buffer:
    cdef Pin pin
    cdef void *data
    cdef Py_ssize_t size


cdef class PrivateBuffer:
    cdef Pin pin
    cdef void *data
    cdef Py_ssize_t size
    cdef void *mapped
    cdef size_t length


cdef ObjectRef own_ref(Arena arena, u64 entry)
cdef ObjectRef first_ref(Arena arena, u64 entry)
cdef ObjectRef new_ref(Arena arena, u64 entry)
cdef Pin new_pin(Arena arena, u64 entry)
cdef Buffer new_buffer(Pin pin, void *data, Py_ssize_t size)
