from ray_async._core.arena cimport Arena
from ray_async._core.codec cimport Encoder
from ray_async._core.layout cimport u32, u64
from ray_async._core.object_ref cimport ObjectRef

cdef enum:
    MARK_FAILED = 1
    MARK_CANCELLED = 2

cdef u64 make_entry(Arena arena, Encoder e) except 0
cpdef object read(Arena arena, ObjectRef ref)
cdef int complete_with(Arena arena, u64 entry, u32 state, object value) except -1
cdef int complete_failed(Arena arena, u64 entry, object error, int mark) except -1
cdef u64 wait_for(
    Arena arena, u64 *entries, u64 n, u64 target, u64 deadline, bint restore, bint until_error
) except? 0xffffffffffffffff
