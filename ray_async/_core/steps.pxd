from ray_async._core.layout cimport u64


cdef class Steps:
    cdef object coroutine
    cdef readonly object context
    cdef object awaited     # what the first step waits for
    cdef bint reported      # the awaiting task knows of it


cdef class PlainCall:
    cdef object executor, function
    cdef tuple args
    cdef dict kwargs
    cdef readonly u64 record
    cdef readonly object definition
