"""Declarations of `postponed`."""

from ray_async._core.arena cimport Arena
from ray_async._core.layout cimport u32, u64


cdef bint hand_back_when_dead(Arena arena, u64 actor, u64 record) except -1


cdef class PostponedCalls:
    cdef Arena arena
    cdef u64 actor
    cdef u32 waiter
    cdef bint ordered, again
    cdef dict lines
    cdef set kept

    cdef bint admit(self, u64 record) except -1
    cdef u64 next(self) except? 0xffffffffffffffff
    cdef bint stirred(self) except -1
    cdef bint ready(self, u64 record) noexcept
    cdef bint claim(self, u64 record, u32 gen) noexcept
    cdef bint unclaim(self, u64 record) noexcept
