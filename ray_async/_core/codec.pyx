"""Values to bytes in the arena and back.

Three ways, tried in this order: the value fits into the entry (None, bool, int, float); it is built of small exact builtins
and gets a compact encoding; or it is pickled, protocol 5, with buffers out of band that are copied straight into the arena
and come back as views of it.
"""

import pickle

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Next
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_FromDouble
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE, PyTuple_New, PyTuple_SET_ITEM
from cpython.list cimport PyList_New, PyList_SET_ITEM
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from ray_async._core.arena cimport Arena, add_counts, current_arena, get_current
from ray_async._core.buffer_layout cimport BufferLayout, copy
from ray_async._core.layout cimport *
from ray_async._core.object_ref cimport Copy, ObjectRef, Pin, new_buffer, new_copy, new_pin, new_ref
from ray_async._core.object_ref import load_ref

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object, Py_ssize_t *) except NULL
    object PyUnicode_DecodeUTF8(const char *, Py_ssize_t, const char *)
    long long PyLong_AsLongLongAndOverflow(object, int *) except? -1
    bint PyBytes_CheckExact(object)
    bint PyUnicode_CheckExact(object)
    bint PyLong_CheckExact(object)
    bint PyFloat_CheckExact(object)
    bint PyTuple_CheckExact(object)
    bint PyList_CheckExact(object)
    bint PyDict_CheckExact(object)
    int PyBUF_READ
    void Py_INCREF_ "Py_INCREF"(PyObject *)

cdef enum:
    SMALL = 4096
    DEPTH = 6

# Set by the package above: what a pickler does with types of its own (`make_pickler`), and how failures are explained.
_hooks = {}


def set_hooks(**functions):
    """Install ``make_pickler(encoder, sink, buffers)``, ``explain(value, error, call)`` and ``load_failed(error, pickled,
    buffers, ref)``.
    """
    _hooks.update(functions)


class Sink:
    """The file that a pickler writes to: keeps the pieces."""

    __slots__ = ("pieces",)

    def __init__(self):
        self.pieces = []

    def write(self, data):
        # Frames and the data of large objects, which are copied once, into the payload. A view keeps a bytearray's memory.
        self.pieces.append(data if type(data) is bytes else memoryview(data))
        return len(data)


@cython.no_gc
cdef class ArgRef:
    """Stands in an encoded call for an argument that is a reference."""

    def __init__(self, ref):
        self.ref = ref

    def __reduce__(self):
        raise TypeError("an argument placeholder is not picklable by itself")


def load_argument(u64 entry, u64 seq, bytes session):
    return ArgRef(load_ref(entry, seq, session))


@cython.no_gc_clear
cdef class Encoder:
    """Encodes one value at a time; kept and used again, since making a pickler is dear."""

    def __cinit__(self, Arena arena):
        self.arena = arena
        self.refs = []
        self.buffers = []
        self.layout = BufferLayout()
        self.sink = Sink()

    def note_ref(self, ObjectRef ref):
        """Called by the pickler for each reference inside the value; returns how to rebuild it."""
        self.refs.append(ref)
        return load_ref, (ref.at(), ra_entry_at(&self.arena.heap, ref.entry).seq, self.arena.session[:4])

    def note_argument(self, ArgRef arg):
        """The same for a reference that is an argument itself."""
        function, args = self.note_ref(arg.ref)
        return load_argument, args

    cdef int finish(self) except -1:
        self.busy = False
        self.n = 0
        self.stream = self.pieces = None
        if self.refs:
            self.refs = []
        if self.buffers:
            self.buffers.clear()
        if self.sink.pieces:
            self.sink.pieces = []
        return 0

    cdef int encode(self, object value) except -1:
        cdef int overflow = 0
        cdef Py_ssize_t size
        cdef double number
        self.n = 0
        self.mutables = 0
        self.n_direct = 0
        if value is None:
            self.format = RA_F_NONE
        elif value is True:
            self.format = RA_F_TRUE
        elif value is False:
            self.format = RA_F_FALSE
        elif PyFloat_CheckExact(value):
            self.format = RA_F_FLOAT
            number = PyFloat_AS_DOUBLE(value)
            memcpy(&self.immediate, &number, 8)
        elif PyLong_CheckExact(value):
            self.immediate = <u64>PyLong_AsLongLongAndOverflow(value, &overflow)
            if overflow:
                self._pickle(value)
            else:
                self.format = RA_F_INT
        elif PyBytes_CheckExact(value):
            self.format = RA_F_BYTES
            self.stream = value
        elif (
            PyUnicode_CheckExact(value) or PyTuple_CheckExact(value) or PyList_CheckExact(value) or PyDict_CheckExact(value)
        ) and fast_encode(self, value, 0):
            self.format = RA_F_FAST
        else:
            self._pickle(value)
        return 0

    cdef int encode_arguments(self, tuple args, dict kwargs) except -1:
        """Encode a call. References at top level become placeholders, and come first among the references."""
        cdef bint fast = kwargs is None
        cdef Py_ssize_t i
        self.n = 0
        self.mutables = 0
        self.n_direct = 0
        for value in args:
            if isinstance(value, ObjectRef):
                (<ObjectRef>value).at()
                self.refs.append(value)
        if kwargs is not None:
            for value in kwargs.values():
                if isinstance(value, ObjectRef):
                    (<ObjectRef>value).at()
                    self.refs.append(value)
        self.n_direct = len(self.refs)
        if fast:
            if self.n_direct == 0:
                if fast_encode(self, args, 0):
                    self.format = RA_F_FAST
                    return 0
            elif fast_arguments(self, args):
                self.format = RA_F_FAST
                return 0
        if self.n_direct:
            args = tuple([ArgRef(v) if isinstance(v, ObjectRef) else v for v in args])
            if kwargs is not None:
                kwargs = {k: ArgRef(v) if isinstance(v, ObjectRef) else v for k, v in kwargs.items()}
        self._pickle((args, kwargs or {}), True)
        return 0

    cdef int encode_call(self, object call, tuple refs) except -1:
        """Encode what unpickles as a call's arguments; ``refs`` are the references in it that are arguments themselves."""
        self.n = 0
        self.mutables = 0
        for ref in refs:
            (<ObjectRef?>ref).at()
            self.refs.append(ref)
        self.n_direct = len(self.refs)
        self._pickle(call, True)
        return 0

    def _pickle(self, value, bint call=False):
        self.n = 0
        self.mutables = 0
        del self.refs[self.n_direct:]
        if self.pickler is None:
            self.pickler = _hooks["make_pickler"](self, self.sink, self.buffers.append)
        try:
            self.pickler.dump(value)
        except BaseException as error:
            # The pickler's memo and state are of no use after a failure.
            self.pickler = None
            self.sink.pieces = []
            self.buffers.clear()
            if not isinstance(error, Exception):
                raise
            raise _hooks["explain"](value, error, call) from error
        self.pickler.clear_memo()
        self.pickler.forget()
        pieces = self.sink.pieces
        if len(pieces) == 1:
            self.stream = pieces[0]
        else:
            self.pieces = pieces
        self.sink.pieces = []
        self.format = RA_F_PICKLE

    cdef u64 payload_size(self) except? 0:
        """Bytes that the payload takes; 0 for a value that fits into the entry."""
        cdef u64 size
        if self.format <= RA_F_FLOAT:
            return 0
        size = sizeof(ra_payload) + 8 * <u64>len(self.refs) + self.stream_size()
        if self.buffers:
            size = self.layout.place(self.buffers, size + 16 * <u64>len(self.buffers))
        return size

    cdef u64 stream_size(self) except? 0:
        cdef u64 size = 0
        if self.stream is not None:
            return PyBytes_GET_SIZE(self.stream)
        if self.pieces is None:
            return self.n
        for piece in self.pieces:
            size += <u64>len(piece)
        return size

    cdef int write_stream(self, u8 *at) except -1:
        cdef const unsigned char[::1] data
        if self.stream is not None:
            return copy(at, PyBytes_AS_STRING(self.stream), PyBytes_GET_SIZE(self.stream))
        if self.pieces is None:
            memcpy(at, self.small, self.n)
            return 0
        for piece in self.pieces:
            if type(piece) is bytes:
                copy(at, PyBytes_AS_STRING(piece), PyBytes_GET_SIZE(piece))
            else:
                data = piece
                copy(at, &data[0], data.shape[0])
            at += len(piece)
        return 0

    cdef int write(self, u64 payload, u64 *place) except -1:
        """Write the payload and pin the references inside. Its block is published by whoever points to it.

        ``place`` is the field that will name the payload; it does so as soon as there are pins to be given back, should this
        process be killed.
        """
        cdef ra_heap *h = &self.arena.heap
        cdef ra_payload *p = ra_payload_at(h, payload)
        cdef u8 *at = <u8 *>p + sizeof(ra_payload)
        cdef u64 *table
        cdef u32 n_bufs = len(self.buffers)
        p.n_bufs = n_bufs
        ra_payload_begin(h, payload, <u64>PAYLOAD_BUILDING | <u64>h.slot << 32 | <u64>self.format << 8, place)
        for item in self.refs:
            ra_payload_pin(h, payload, (<ObjectRef>item).entry)
            at += 8
        table = <u64 *>at
        at += 16 * n_bufs
        p.stream = self.stream_size()
        self.write_stream(at)
        if n_bufs:
            self.layout.write(<u8 *>p, table)
        # From here on the payload outlives its writer if `place` is published; else a killed writer's block is given back.
        atomic_store_u64(&p.word, atomic_load_u64(&p.word) & ~<u64>0xff | <u64>PAYLOAD_READY)
        return 0


cdef enum:
    PAYLOAD_BUILDING = 1
    PAYLOAD_READY = 2


cdef Encoder _shared_encoder = None


cdef Encoder acquire_encoder(Arena arena):
    """This process's encoder, or a new one while that is in use (by another thread, or by a reducer that encodes)."""
    global _shared_encoder
    cdef Encoder e = _shared_encoder
    if e is None or e.arena is not arena:
        e = _shared_encoder = Encoder(arena)
    if e.busy:
        e = Encoder(arena)
    e.busy = True
    return e


def forget_encoder():
    """Drop the process's encoder, and with it the arena it refers to."""
    global _shared_encoder
    _shared_encoder = None


# ---- the compact encoding: tag bytes, sizes of 4 bytes ----

cdef inline bint put_sized(Encoder e, Tag tag, const char *data, Py_ssize_t size) noexcept:
    cdef u32 length = <u32>size
    if e.n + 5 + size > SMALL:
        return False
    e.small[e.n] = tag
    memcpy(&e.small[e.n + 1], &length, 4)
    memcpy(&e.small[e.n + 5], data, size)
    e.n += 5 + size
    return True


cdef inline bint put_count(Encoder e, Tag tag, Py_ssize_t count) noexcept:
    cdef u32 length = <u32>count
    if e.n + 5 > SMALL:
        return False
    e.small[e.n] = tag
    memcpy(&e.small[e.n + 1], &length, 4)
    e.n += 5
    return True


cdef bint fast_encode(Encoder e, object value, int depth) except -1:
    """Encode a value of exact builtin types; False when it is something else, too large, or may contain itself."""
    cdef Py_ssize_t size, i, position = 0
    cdef const char *text
    cdef int overflow = 0
    cdef long long number
    cdef double real
    cdef PyObject *key
    cdef PyObject *item
    if e.n + 16 > SMALL:
        return False
    if value is None:
        e.small[e.n] = T_NONE
        e.n += 1
    elif value is True:
        e.small[e.n] = T_TRUE
        e.n += 1
    elif value is False:
        e.small[e.n] = T_FALSE
        e.n += 1
    elif PyLong_CheckExact(value):
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow:
            return False
        if -128 <= number < 128:
            e.small[e.n] = T_INT8
            e.small[e.n + 1] = <char>number
            e.n += 2
        else:
            e.small[e.n] = T_INT
            memcpy(&e.small[e.n + 1], &number, 8)
            e.n += 9
    elif PyFloat_CheckExact(value):
        real = PyFloat_AS_DOUBLE(value)
        e.small[e.n] = T_FLOAT
        memcpy(&e.small[e.n + 1], &real, 8)
        e.n += 9
    elif PyUnicode_CheckExact(value):
        if len(<str>value) > SMALL:
            return False  # before the string keeps a copy of itself in UTF-8
        try:
            text = PyUnicode_AsUTF8AndSize(value, &size)
        except UnicodeEncodeError:
            return False
        return put_sized(e, T_STR, text, size)
    elif PyBytes_CheckExact(value):
        return put_sized(e, T_BYTES, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
    elif PyTuple_CheckExact(value):
        size = PyTuple_GET_SIZE(value)
        if depth >= DEPTH or not put_count(e, T_TUPLE, size):
            return False
        for i in range(size):
            if not fast_encode(e, <object>PyTuple_GET_ITEM(value, i), depth + 1):
                return False
    elif PyList_CheckExact(value):
        size = PyList_GET_SIZE(value)
        e.mutables += 1
        if e.mutables > 1 or depth >= DEPTH or not put_count(e, T_LIST, size):
            return False
        for i in range(size):
            if not fast_encode(e, <object>PyList_GET_ITEM(value, i), depth + 1):
                return False
    elif PyDict_CheckExact(value):
        e.mutables += 1
        if e.mutables > 1 or depth >= DEPTH or not put_count(e, T_DICT, len(<dict>value)):
            return False
        while PyDict_Next(value, &position, &key, &item):
            if not fast_encode(e, <object>key, depth + 1) or not fast_encode(e, <object>item, depth + 1):
                return False
    elif type(value) is ObjectRef:
        (<ObjectRef>value).at()
        e.refs.append(value)
        return put_count(e, T_REF, len(e.refs) - 1)
    else:
        return False
    return True


cdef bint fast_arguments(Encoder e, tuple args) except -1:
    cdef Py_ssize_t direct = 0
    if not put_count(e, T_TUPLE, len(args)):
        return False
    for value in args:
        if isinstance(value, ObjectRef):
            if not put_count(e, T_ARG, direct):
                return False
            direct += 1
        elif not fast_encode(e, value, 1):
            return False
    return True


cdef struct Reader:
    const char *at
    u64 *refs


cdef object fast_decode(Reader *r, Arena arena):
    cdef char tag = r.at[0]
    cdef u32 size, i
    cdef long long number
    cdef double real
    cdef object key, value
    r.at += 1
    if tag == T_NONE:
        return None
    if tag == T_TRUE:
        return True
    if tag == T_FALSE:
        return False
    if tag == T_INT8:
        i = <u32><int><signed char>r.at[0]
        r.at += 1
        return <int>i
    if tag == T_INT:
        memcpy(&number, r.at, 8)
        r.at += 8
        return number
    if tag == T_FLOAT:
        memcpy(&real, r.at, 8)
        r.at += 8
        return PyFloat_FromDouble(real)
    memcpy(&size, r.at, 4)
    r.at += 4
    if tag == T_STR:
        r.at += size
        return PyUnicode_DecodeUTF8(r.at - size, size, NULL)
    if tag == T_BYTES:
        r.at += size
        return PyBytes_FromStringAndSize(r.at - size, size)
    if tag == T_TUPLE:
        value = PyTuple_New(size)
        for i in range(size):
            key = fast_decode(r, arena)
            Py_INCREF(key)
            PyTuple_SET_ITEM(value, i, key)
        return value
    if tag == T_LIST:
        value = PyList_New(size)
        for i in range(size):
            key = fast_decode(r, arena)
            Py_INCREF(key)
            PyList_SET_ITEM(value, i, key)
        return value
    if tag == T_DICT:
        value = {}
        for i in range(size):
            key = fast_decode(r, arena)
            value[key] = fast_decode(r, arena)
        return value
    if tag == T_REF:
        return new_ref(arena, r.refs[size])
    if tag == T_ARG:
        return ArgRef(new_ref(arena, r.refs[size]))
    raise ValueError(f"damaged payload: unknown tag {tag}")


cdef u64 build_payload(Arena arena, Encoder e, u64 *place) except 0:
    """A payload block of its own for what the encoder holds; ``place`` names it from the start (see ``Encoder.write``)."""
    cdef u64 payload = arena.alloc(RA_CHUNK_DATA, e.payload_size())
    try:
        e.write(payload, place)
    except BaseException:
        place[0] = 0
        discard_payload(arena, payload)
        raise
    return payload


cdef void discard_payload(Arena arena, u64 payload) noexcept:
    """Free a payload that no entry took."""
    cdef ra_heap *h = &arena.heap
    cdef ra_payload *p = ra_payload_at(h, payload)
    cdef u64 *refs = <u64 *>(p + 1)
    cdef u32 i
    for i in range(p.n_refs):
        ra_unpin(h, refs[i])
    ra_free(h, payload)


cdef object decode_payload(Arena arena, u64 payload, u32 format, u64 entry):
    """The value of a payload. ``entry`` is what views of it keep alive.

    Buffers are copied when ``entry`` is 0, or when nothing refers to it any more: the result of a call that nobody waits for.
    """
    cdef ra_heap *h = &arena.heap
    cdef ra_payload *p = ra_payload_at(h, payload)
    cdef u64 *refs = <u64 *>(p + 1)
    cdef u64 *table = refs + p.n_refs
    cdef char *stream = <char *>(table + 2 * p.n_bufs)
    cdef Reader reader
    if format == RA_F_FAST:
        reader.at = stream
        reader.refs = refs
        return fast_decode(&reader, arena)
    if format == RA_F_BYTES or format == RA_F_RAW:
        return PyBytes_FromStringAndSize(stream, p.stream)
    if format == RA_F_STR:
        return PyUnicode_DecodeUTF8(stream, p.stream, NULL)
    view = PyMemoryView_FromMemory(stream, p.stream, PyBUF_READ)
    if p.n_bufs == 0:
        return _loads(view)
    return _loads(view, buffers=payload_buffers(arena, payload, entry))


cdef list payload_buffers(Arena arena, u64 payload, u64 entry):
    """The buffers that lie out of band, as the memory of one reader."""
    cdef ra_payload *p = ra_payload_at(&arena.heap, payload)
    cdef u64 *table = <u64 *>(p + 1) + p.n_refs
    cdef u64 first = table[0], end = 0
    cdef u32 i
    cdef u8 *image
    cdef Copy copied
    cdef Pin pin = new_pin(arena, entry, payload) if entry else None
    if pin is not None:
        owner, image = pin, pin.image
    else:
        for i in range(p.n_bufs):
            first, end = min(first, table[2 * i]), max(end, table[2 * i] + table[2 * i + 1])
        first -= first % 64  # what is aligned stays aligned
        copied = new_copy(<u8 *>p + first, end - first)
        owner, image = copied, <u8 *>copied.memory - first
    return [new_buffer(owner, image + table[2 * i], table[2 * i + 1]) for i in range(p.n_bufs)]


_loads = pickle.loads


cdef object load_failed(Arena arena, u64 payload, object error, object ref):
    """The error for a pickled value that cannot be loaded, since ``error`` was raised; ``ref`` is None for arguments."""
    cdef ra_payload *p = ra_payload_at(&arena.heap, payload)
    cdef u64 *table = <u64 *>(p + 1) + p.n_refs
    cdef u32 i
    buffers = [PyBytes_FromStringAndSize(<char *>p + table[2 * i], table[2 * i + 1]) for i in range(p.n_bufs)]
    pickled = PyBytes_FromStringAndSize(<char *>(table + 2 * p.n_bufs), p.stream)
    return _hooks["load_failed"](error, pickled, buffers, ref)


cdef object decode_value(Arena arena, u64 entry):
    """The value of an entry in state VALUE or ERROR, which the caller holds."""
    cdef ra_heap *h = &arena.heap
    cdef ra_entry *e = ra_entry_at(h, entry)
    cdef u64 w = atomic_load_u64(&e.word)
    cdef u32 format = RA_FORMAT(w)
    cdef double real
    if format == RA_F_NONE:
        return None
    if format == RA_F_INT:
        return <int64_t>e.payload
    if format == RA_F_FLOAT:
        memcpy(&real, &e.payload, 8)
        return real
    if format == RA_F_TRUE:
        return True
    if format == RA_F_FALSE:
        return False
    if format != RA_F_PICKLE:
        return decode_payload(arena, e.payload, format, entry)
    try:
        return decode_payload(arena, e.payload, format, entry)
    except Exception as error:
        raise load_failed(arena, e.payload, error, new_ref(arena, entry)) from error


add_counts(RA_LIVE)
ra_count_type(Encoder)
