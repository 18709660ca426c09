from ray_async._core.arena cimport Arena
from ray_async._core.layout cimport u32, u64
from ray_async._core.object_ref cimport ObjectRef


cdef class ActorCore:
    cdef readonly ObjectRef ref
    cdef u64 offset
    cdef object __weakref__


cdef class Template:
    cdef Arena arena
    cdef readonly ObjectRef fn
    cdef readonly ObjectRef opts
    cdef readonly ActorCore actor
    cdef u64 queue
    cdef u32 n_returns, kflags, kind, backpressure
    cdef int retries
    cdef object make_generator, kept

    cdef u64 prepare(self, tuple args, dict kwargs, bint *waits, object call=*) except 0
    cdef object _publish(self, u64 record, bint waits)
    cdef int _fill(self, u64 record, ObjectRef opts) except -1
    cdef object _references(self, u64 record)
    cdef bint must_fail(self) noexcept


cpdef set_parent(u64 record, bint concurrent=*)
