from ray_async._core.layout cimport ra_heap, ra_lanes, ra_live_counts, u32, u64


cdef class Arena:
    cdef ra_heap heap
    cdef ra_lanes lanes  # where views of large payloads lie
    cdef readonly int fd
    cdef readonly str directory
    cdef readonly u64 size
    cdef readonly bytes session
    cdef int pid
    cdef public int node_fd    # readable once the node process is gone; -1: not watched
    cdef public bint gives_cpu_back  # a wait here frees the CPU of the task that runs
    cdef list idle_waiters
    cdef readonly bint forked  # this process is a child of the one that joined
    cdef object __weakref__

    cdef ra_heap *open(self) except NULL
    cdef int check_node(self) except -1
    cpdef int end_if_forked(self, error=*) except -1
    cdef u32 new_waiter(self, u32 kind) except 0xffffffff
    cdef u64 alloc(self, u32 kind, u64 size) except 0
    cdef u64 alloc_overflow(self, u64 size) except? 0


cdef void add_counts(ra_live_counts *counts) noexcept

cdef Arena current_arena
cpdef Arena get_current()
