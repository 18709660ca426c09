from ray_async._core.arena cimport Arena
from ray_async._core.layout cimport u64


cdef class Stream:
    cdef Arena arena
    cdef u64 record

    cdef u64 _first(self)


cdef int fail_returns(Arena arena, u64 record, object error) except -1
cdef int fail_returns_reserved(Arena arena, u64 record, object error) except -1
cdef int fail_returns_anyway(Arena arena, u64 record, object error) except -1
