from ray_async._core.arena cimport Arena
from ray_async._core.layout cimport u32, u64
from ray_async._core.object_ref cimport ObjectRef


cdef class LoopWaiter


cdef class Watch:
    """One party that waits for an object on a loop."""

    cdef ObjectRef ref

    cdef int settle(self, LoopWaiter waiter) except -1
    cdef int fail(self, LoopWaiter waiter, error) except -1
    cdef int drop(self) except -1
    cdef int run(self, LoopWaiter waiter) except -1


cdef class LoopWaiter:
    cdef Arena arena
    cdef readonly u32 index
    cdef u64 ring
    cdef dict pending           # entry → Watch, or a dict with several as keys, in the order of their coming
    cdef object socket
    cdef int descriptor
    cdef readonly u64 n_settled # objects whose parties were called so far
    cdef readonly bint lent     # the worker's CPU is lent until something is settled
    cdef str path
    cdef list ready             # what `run` is to be called of, on the loop
    cdef bint scheduled         # the loop will do so
    cdef bint resting           # the loop will call `rest`
    cdef public bint rests      # nothing but completions comes by this waiter, so it may be left unarmed for a while
    cdef public object loop     # weak reference; None: nobody waits here but by `watch`
    cdef public object before_run # called before watches that have completed are run
    cdef public object on_watch # called after a watch that gives reason to lend the CPU, or to look before the loop sleeps

    cdef bint is_open(self) noexcept
    cdef int add(self, Watch watch) except -1
    cdef int remove(self, Watch watch) except -1
    cdef int request(self, Watch watch) except -1
    cdef int schedule(self) except -1
    cdef object _loop(self)
    cdef int deliver(self) except -1
    cdef int turn(self) except -1
    cdef int drain(self) except -1
    cdef int notice(self) except -1
    cdef int collect(self) except -1
    cdef int _settle(self, u64 entry) except -1
    cdef bint _is_published(self, u64 entry) except -1
    cdef int _settle_one(self, Watch watch) except -1
    cdef int retake(self) except -1
