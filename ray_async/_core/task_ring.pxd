"""Declarations of `task_ring`."""

from ray_async._core.layout cimport u32, u64


cdef class TaskRing:
    cdef Py_buffer mapping
    cdef unsigned char *base
    cdef u32 pid
    cdef readonly Py_ssize_t capacity
    cdef int write(
        self, u64 seq, u64 actor, u64 started, u64 ended, u32 job, u32 kind, u32 attempt, u32 slot, str name, str given
    ) except -1
