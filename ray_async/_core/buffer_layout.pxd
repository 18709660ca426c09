from ray_async._core.layout cimport u8, u64


cdef struct Span:
    u8 *data      # where the bytes are now
    u64 size
    u64 offset    # where they go, from the payload's start
    u64 copied    # bytes to copy for it; 0 where an earlier span's copy has them


cdef class BufferLayout:
    cdef Span *spans
    cdef Py_ssize_t n, room

    cdef u64 place(self, list buffers, u64 start) except? 0
    cdef u64 place_all(self, u64 start) except? 0
    cdef int write(self, u8 *base, u64 *table) except -1


cdef int copy(void *to, const void *source, size_t size) except -1
