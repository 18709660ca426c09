from ray_async._core.arena cimport Arena
from ray_async._core.buffer_layout cimport BufferLayout
from ray_async._core.layout cimport ra_heap, u8, u32, u64


cdef class Encoder:
    cdef Arena arena
    cdef char small[4096]
    cdef Py_ssize_t n       # bytes of `small` in use
    cdef int mutables       # lists and dicts met: two might be the same one
    cdef list refs          # references inside, alive until they are pinned
    cdef Py_ssize_t n_direct  # of them, so many are arguments themselves and are resolved before the call
    cdef list buffers       # out-of-band memory
    cdef BufferLayout layout
    cdef object stream      # bytes of the pickle, where `small` is not used
    cdef list pieces        # the same, where they are several
    cdef object sink
    cdef object pickler
    cdef u32 format
    cdef u64 immediate      # the value, for formats without a payload
    cdef bint busy

    cdef int encode(self, object value) except -1
    cdef int encode_arguments(self, tuple args, dict kwargs) except -1
    cdef int encode_call(self, object call, tuple refs) except -1
    cdef u64 payload_size(self) except? 0
    cdef u64 stream_size(self) except? 0
    cdef int write_stream(self, u8 *at) except -1
    cdef int write(self, u64 payload, u64 *place) except -1
    cdef int finish(self) except -1


cdef Encoder acquire_encoder(Arena arena)
cdef object decode_payload(Arena arena, u64 payload, u32 format, u64 entry)
cdef object load_failed(Arena arena, u64 payload, object error, object ref)
cdef object decode_value(Arena arena, u64 entry)
cdef list payload_buffers(Arena arena, u64 payload, u64 entry)
cdef u64 build_payload(Arena arena, Encoder e, u64 *place) except 0
cdef void discard_payload(Arena arena, u64 payload) noexcept
cdef class ArgRef:
    cdef readonly object ref


# Tags of the compact encoding: bytes, then sizes of 4 bytes.
cdef enum Tag:
    T_NONE = 0
    T_TRUE
    T_FALSE
    T_INT8
    T_INT
    T_FLOAT
    T_STR
    T_BYTES
    T_TUPLE
    T_LIST
    T_DICT
    T_REF
    T_ARG
