"""Places of a payload's buffers: what several buffers have in common is stored once.

Buffers that overlap in memory, such as a column and its slices, keep their distances: their union is copied as one, and each
of them is a part of the copy. A buffer that overlaps no other begins at a multiple of 64.
"""

from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memcpy

from ray_async._core.layout cimport u8, u64

cdef extern from "Python.h":
    const Py_buffer *PyPickleBuffer_GetBuffer(object) except NULL

cdef enum:
    COPY_NOGIL = 65536
    ALIGNMENT = 64


cdef inline u64 aligned(u64 offset) noexcept:
    return (offset + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


cdef int by_address(const void *a, const void *b) noexcept nogil:
    """Order of two pointers to spans: by address, and the longer one first."""
    cdef Span *left = (<Span **>a)[0]
    cdef Span *right = (<Span **>b)[0]
    if left.data != right.data:
        return -1 if left.data < right.data else 1
    if left.size != right.size:
        return -1 if left.size > right.size else 1
    return 0


cdef class BufferLayout:
    """Places of the buffers of one payload; kept and used again."""

    def __dealloc__(self):
        free(self.spans)

    cdef u64 place(self, list buffers, u64 start) except? 0:
        """Give each pickle buffer a place after ``start``; returns where the last one ends. The caller keeps the buffers."""
        cdef Py_ssize_t i
        cdef const Py_buffer *view
        self.n = len(buffers)
        if self.n > self.room:
            free(self.spans)
            self.room = 0
            self.spans = <Span *>malloc(<size_t>self.n * sizeof(Span))
            if self.spans == NULL:
                raise MemoryError()
            self.room = self.n
        for i in range(self.n):
            view = PyPickleBuffer_GetBuffer(buffers[i])
            self.spans[i].data = <u8 *>view.buf
            self.spans[i].size = view.len
        if self.n == 1:
            self.spans[0].offset = aligned(start)
            self.spans[0].copied = self.spans[0].size
            return self.spans[0].offset + self.spans[0].size
        return self.place_all(start)

    cdef u64 place_all(self, u64 start) except? 0:
        cdef Py_ssize_t i, j, k
        cdef Span **order = <Span **>malloc(<size_t>self.n * sizeof(void *))
        cdef u8 *first
        cdef u8 *end
        if order == NULL:
            raise MemoryError()
        for i in range(self.n):
            order[i] = &self.spans[i]
        qsort(order, self.n, sizeof(void *), by_address)
        i = 0
        while i < self.n:
            first = order[i].data
            end = first + order[i].size
            j = i + 1
            while j < self.n and order[j].data < end:
                if order[j].data + order[j].size > end:
                    end = order[j].data + order[j].size
                j += 1
            start = aligned(start)
            if order[j - 1].data != first:
                start += <u64>first % ALIGNMENT  # parts stay as aligned as they are
            for k in range(i, j):
                order[k].offset = start + <u64>(order[k].data - first)
                order[k].copied = 0
            order[i].copied = <u64>(end - first)
            start += order[i].copied
            i = j
        free(order)
        return start

    cdef int write(self, u8 *base, u64 *table) except -1:
        """Copy what was placed to a payload at ``base``, and write (offset, size) of each buffer to its table."""
        cdef Py_ssize_t i
        for i in range(self.n):
            table[2 * i], table[2 * i + 1] = self.spans[i].offset, self.spans[i].size
            if self.spans[i].copied:
                copy(base + self.spans[i].offset, self.spans[i].data, self.spans[i].copied)
        return 0


cdef int copy(void *to, const void *source, size_t size) except -1:
    if size < COPY_NOGIL:
        memcpy(to, source, size)
    else:
        with nogil:
            memcpy(to, source, size)
    return 0
