from ray_async._core.arena cimport Arena
from ray_async._core.layout cimport u64

cdef bytes stream_bytes(Arena arena, u64 payload)
cdef bytes raw_bytes(Arena arena, u64 entry)
cdef list all_entries(Arena arena)
