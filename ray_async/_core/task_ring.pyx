"""A ring of the tasks that have succeeded: a file that the processes of a session map, that workers write and the node reads.

The results of a task and its record go when nobody refers to them; a row of the ring stays until as many others have
come. Writing one takes no lock and no system call.
"""

import os

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memcpy

from ray_async._core.arena cimport add_counts
from ray_async._core.layout cimport *

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object, Py_ssize_t *) except NULL

cdef enum:
    ROWS = 10000
    HEAD = 64                   # bytes before the first row
    LETTERS = 64                # bytes of a name that are kept

NAME = "ended-tasks"            # of the file

cdef struct Row:
    au64 number                 # which of all rows this is, from 1 on; 0 while it is written
    u64 seq
    u64 actor
    u64 started
    u64 ended
    u32 job
    u32 kind
    u32 attempt
    u32 slot
    u32 pid
    u32 name_size
    u32 given_size
    u32 unused
    char name[LETTERS]
    char given[LETTERS]


cdef inline u32 put_text(char *place, str text) except? 0xffffffff:
    cdef Py_ssize_t size
    cdef const char *data = PyUnicode_AsUTF8AndSize(text, &size)
    size = min(size, LETTERS)
    memcpy(place, data, size)
    return <u32>size


cdef inline str text_at(char *place, u32 size):
    return place[:min(size, <u32>LETTERS)].decode("utf-8", "ignore")


cdef class TaskRing:
    """The ring in a file, which is made if need be.

    Args:
        directory: the session's; only this user can enter it.
    """

    def __init__(self, directory):
        cdef Py_ssize_t size = HEAD + ROWS * sizeof(Row)
        import mmap  # only where tasks are noted

        descriptor = os.open(os.path.join(directory, NAME), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size < size:
                os.ftruncate(descriptor, size)
            PyObject_GetBuffer(mmap.mmap(descriptor, size), &self.mapping, PyBUF_WRITABLE)
        finally:
            os.close(descriptor)
        self.base = <unsigned char *>self.mapping.buf
        self.pid = os.getpid()
        self.capacity = ROWS

    def __dealloc__(self):
        if self.base != NULL:
            PyBuffer_Release(&self.mapping)

    cdef int write(
        self, u64 seq, u64 actor, u64 started, u64 ended, u32 job, u32 kind, u32 attempt, u32 slot, str name, str given
    ) except -1:
        """Add a row, over the oldest one. A writer that stands still while all others are overwritten may spoil one row."""
        cdef u64 number = atomic_add_u64(<au64 *>self.base, 1)
        cdef Row *row = <Row *>(self.base + HEAD) + number % ROWS
        atomic_store_u64(&row.number, 0)
        atomic_fence(memory_order_seq_cst)
        row.seq, row.actor, row.started, row.ended = seq, actor, started, ended
        row.job, row.kind, row.attempt, row.slot = job, kind, attempt, slot
        row.pid = self.pid
        row.name_size = put_text(row.name, name) if name is not None else 0
        row.given_size = 0 if given is name else put_text(row.given, given)
        atomic_store_u64(&row.number, number + 1)
        return 0

    def rows(self):
        """The rows, the newest first.

        Each is ``(seq, actor, started, ended, job, kind, attempt, slot, pid, name, given)``: times in nanoseconds of the
        monotonic clock, 0 where a start is not known; ``given`` is "" where the caller gave no name of its own.
        """
        cdef u64 head = atomic_load_u64(<au64 *>self.base), number = head
        cdef u64 last = head - ROWS if head > ROWS else 0
        cdef Row *row
        cdef Row copy
        cdef list found = []
        while number > last:
            row = <Row *>(self.base + HEAD) + (number - 1) % ROWS
            if atomic_load_u64(&row.number) == number:
                memcpy(&copy, row, sizeof(Row))
                atomic_fence(memory_order_seq_cst)
                if atomic_load_u64(&row.number) == number:
                    found.append((
                        copy.seq, copy.actor, copy.started, copy.ended, copy.job, copy.kind, copy.attempt, copy.slot, copy.pid,
                        text_at(copy.name, copy.name_size), text_at(copy.given, copy.given_size),
                    ))
            number -= 1
        return found


add_counts(RA_LIVE)
