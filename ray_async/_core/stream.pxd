from ray_async._core.arena cimport Arena
from ray_async._core.layout cimport u64


cdef class Stream:
    cdef Arena arena
    cdef u64 record

    cdef u64 _first(self)
