from ray_async._core.arena cimport Arena
from ray_async._core.layout cimport ra_heap, u64


cdef void leave_stream(ra_heap *h, u64 record) noexcept nogil


cdef class Stream:
    cdef Arena arena
    cdef u64 record

    cdef u64 _first(self)
