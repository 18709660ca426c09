"""The object store: put, get and wait, as a thread does them. Event loops have `loop_waiter`."""

from libc.stdlib cimport free, malloc, qsort

from cpython.exc cimport PyErr_CheckSignals

from ray_async._core.arena cimport Arena, add_counts, current_arena
from ray_async._core.codec cimport Encoder, acquire_encoder, build_payload, decode_value, discard_payload
from ray_async._core.layout cimport *
from ray_async._core.object_ref cimport ObjectRef, first_ref
from ray_async._core.object_ref import no_room

cdef enum:
    EMBED = 16384           # payloads up to here lie behind their entry
    SLICE = 200000000       # ns: how long a wait goes on without a look at signals and at the node
    GRACE = 200000          # ns: a task that waits longer gives its CPU back
    SPIN = 30000            # ns: a completion this close is not worth a sleep

cdef u64 NEVER = <u64>-1

#: What the hook for errors gets instead of an error for which there was no room: the call failed, or was cancelled.
FAILED, CANCELLED = MARK_FAILED, MARK_CANCELLED

_hooks = {}


def set_hooks(**functions):
    """Install ``raise_error(error or FAILED or CANCELLED)``, ``timed_out(message)``, ``node_died()``."""
    _hooks.update(functions)


cdef u64 make_entry(Arena arena, Encoder e) except 0:
    """A new entry for what the encoder holds, with one reference; not published yet."""
    cdef ra_heap *h = arena.open()
    cdef u64 size = e.payload_size(), entry, seq
    cdef bint embedded = size and size <= EMBED
    cdef ra_entry *at
    entry = arena.alloc(RA_CHUNK_OBJ, sizeof(ra_entry) + (size if embedded else 0))
    seq = ra_next_seq(h)
    ra_entry_begin(h, entry, seq, generation(seq), e.format, RA_EF_EMBEDDED if embedded else 0)
    at = ra_entry_at(h, entry)
    try:
        if embedded:
            e.write(entry + sizeof(ra_entry), &at.payload)
        elif size:
            build_payload(arena, e, &at.payload)
        elif e.format >= RA_F_INT:
            at.payload = e.immediate
    except BaseException:
        ra_entry_abandon(h, entry)
        raise
    at.size = size
    return entry


cdef ObjectRef publish_entry(Arena arena, u64 entry, u32 state):
    """Make a new entry visible, and return its reference."""
    cdef ObjectRef ref = first_ref(arena, entry)
    if ref is None:
        ra_entry_abandon(&arena.heap, entry)
        raise no_room()
    ra_entry_publish(&arena.heap, entry, state)
    return ref


def put(Arena arena, value):
    """Copy ``value`` into the store and return a reference to it."""
    cdef Encoder e = acquire_encoder(arena)
    cdef u64 entry
    try:
        e.encode(value)
        entry = make_entry(arena, e)
    finally:
        e.finish()
    return publish_entry(arena, entry, RA_VALUE)


def put_raw(Arena arena, bytes data):
    """An entry that holds bytes for the engine itself."""
    cdef Encoder e = acquire_encoder(arena)
    cdef u64 entry
    try:
        e.n = e.n_direct = 0
        e.format = RA_F_RAW
        e.stream = data
        entry = make_entry(arena, e)
    finally:
        e.finish()
    return publish_entry(arena, entry, RA_VALUE)


def new_promise(Arena arena):
    """An entry that is completed by hand (see ``fulfil``): what the node answers later."""
    cdef Encoder e = acquire_encoder(arena)
    cdef u64 entry
    try:
        e.encode(None)
        entry = make_entry(arena, e)
    finally:
        e.finish()
    return publish_entry(arena, entry, RA_PENDING)


cdef int complete_with(Arena arena, u64 entry, u32 state, object value) except -1:
    """Complete a pending entry with a value that is encoded now. Returns whether it was still pending."""
    cdef Encoder e = acquire_encoder(arena)
    cdef u64 payload, size
    cdef ra_entry *at = ra_entry_at(&arena.heap, entry)
    try:
        e.encode(value)
        if arena.forked:
            arena.end_if_forked()
        if RA_STATE(atomic_load_u64(&at.word)) != RA_PENDING:
            return 0
        size = e.payload_size()
        if size == 0:
            payload = e.immediate
        else:
            payload = build_payload(arena, e, &at.payload)
        if not ra_complete(&arena.heap, entry, state, e.format, 0, payload, size):
            if size:
                discard_payload(arena, payload)
            return 0
        return 1
    finally:
        e.finish()


cdef int complete_failed(Arena arena, u64 entry, object error, int mark) except -1:
    """Complete a pending entry with an error. One for which there is no room takes of the reserve, and one that has no room
    there either leaves its mark, which lies in the entry itself."""
    try:
        return complete_with(arena, entry, RA_ERROR, error)
    except Exception:
        arena.heap.reserve = RA_RESERVE
    try:
        return complete_with(arena, entry, RA_ERROR, error)
    except Exception:
        return complete_with(arena, entry, RA_ERROR, mark)
    finally:
        arena.heap.reserve = 0


def fulfil(Arena arena, ObjectRef ref, value, bint error=False):
    """Complete a promise. Returns False when it was complete already."""
    return bool(complete_with(arena, ref.at(), RA_ERROR if error else RA_VALUE, value))


# ---- waiting ----

cdef inline bint settled(u64 word, bint restore) noexcept nogil:
    """Whether an entry has its outcome; with ``restore``, whether that can be read now."""
    cdef u32 state = RA_STATE(word)
    if state == RA_PENDING:
        return False
    return not restore or (state != RA_SPILLED and state != RA_BUSY)


cdef inline u64 word_at(Arena arena, u64 entry) noexcept:
    return atomic_load_u64(&ra_entry_at(&arena.heap, entry).word)


cdef u64 wait_for(
    Arena arena, u64 *entries, u64 n, u64 target, u64 deadline, bint restore, bint until_error
) except? 0xffffffffffffffff:
    """Wait until ``target`` of the entries are settled, the deadline (ns) passes or, with ``until_error``, one holds an error.

    Returns how many are settled. The GIL is released while the thread sleeps.
    """
    cdef ra_heap *h = arena.open()
    cdef u64 ready, i, missing, now, slice_end, started = 0
    cdef int32_t need
    cdef u32 index = 0
    cdef bint failed, gave = False, have = False
    cdef ra_waiter *w = NULL
    cdef int code
    try:
        while True:
            ready, failed = 0, False
            for i in range(n):
                word = atomic_load_u64(&ra_entry_at(h, entries[i]).word)
                if settled(word, restore):
                    ready += 1
                    if until_error and RA_STATE(word) == RA_ERROR:
                        failed = True
            if ready >= target or failed:
                return ready
            now = ra_now_ns()
            if started == 0:
                started = now
            if now >= deadline:
                return ready
            if not have:
                index = arena.idle_waiters.pop() if arena.idle_waiters else arena.new_waiter(RA_WAITER_THREAD)
                have = True
                w = ra_waiter_at(h, index)
            atomic_store_u32(&w.rescan, 0)
            atomic_store_u32(&w.multi, 0)
            atomic_store_i32(&w.need, 1 << 30)
            missing = 0
            ready = 0
            for i in range(n):
                word = atomic_load_u64(&ra_entry_at(h, entries[i]).word)
                if settled(word, restore):
                    ready += 1
                elif ra_watch(h, entries[i], index):
                    missing += 1
                    if restore and RA_STATE(word) == RA_SPILLED:
                        ra_event(h, RA_EV_LOST, entries[i])
                else:
                    ready += 1
            if ready >= target:
                continue
            # Completions since the registration have counted down from 1 << 30 already.
            need = <int32_t>(target - ready)
            if atomic_sub_i32(&w.need, (1 << 30) - need) - ((1 << 30) - need) <= 0 or atomic_load_u32(&w.rescan):
                continue
            slice_end = SLICE
            if arena.gives_cpu_back and not gave:
                slice_end = GRACE
            if now + slice_end > deadline:
                slice_end = deadline - now
            with nogil:
                code = sleep(w, slice_end)
            if code == 2:
                PyErr_CheckSignals()
            elif code == 1:
                PyErr_CheckSignals()
                if ra_readable(arena.node_fd):
                    h.node_dead = 1
                if h.node_dead and atomic_load_i32(&w.need) > 0:
                    raise _hooks["node_died"]()
                if arena.gives_cpu_back and not gave and ra_now_ns() - started >= GRACE:
                    gave = True
                    ra_lend_cpu(h)
    finally:
        if have:
            arena.idle_waiters.append(index)
        if gave:
            ra_retake_cpu(h)


cdef int sleep(ra_waiter *w, u64 timeout) noexcept nogil:
    """Returns 0 when woken, 1 after the timeout, 2 when a signal came."""
    cdef int code = 0
    cdef u64 until = ra_now_ns() + min(timeout, <u64>SPIN)
    while ra_now_ns() < until:
        if atomic_load_i32(&w.need) <= 0 or atomic_load_u32(&w.rescan):
            return 0
        ra_relax()
    atomic_store_u32(&w.armed, 1)
    if atomic_load_i32(&w.need) > 0 and not atomic_load_u32(&w.rescan):
        code = ra_futex_wait(&w.armed, 1, timeout)
    atomic_store_u32(&w.armed, 0)
    return code


cdef u64 deadline_of(object timeout) except? 0:
    cdef double seconds
    if timeout is None:
        return NEVER
    seconds = timeout
    if seconds != seconds:
        raise ValueError("the timeout is not a number")
    if seconds > 1e9:
        return NEVER
    return ra_now_ns() + <u64>(max(0.0, seconds) * 1e9)


cdef u64 *entries_of(list refs) except NULL:
    cdef Py_ssize_t i, n = len(refs)
    cdef u64 *entries = <u64 *>malloc(8 * max(n, 1))
    if entries == NULL:
        raise MemoryError()
    try:
        for i in range(n):
            entries[i] = (<ObjectRef?>refs[i]).at()
    except BaseException:
        free(entries)
        raise
    return entries


def get_one(Arena arena, ObjectRef ref, timeout=None):
    """The value of one reference; raises what the task raised."""
    cdef u64 entry = ref.at()
    cdef u64 word = atomic_load_u64(&ra_entry_at(&arena.heap, entry).word)
    if not settled(word, True):
        if wait_for(arena, &entry, 1, 1, deadline_of(timeout), True, False) < 1:
            raise _hooks["timed_out"](1, timeout)
    return read(arena, ref)


cdef int compare_entries(const void *a, const void *b) noexcept nogil:
    return ((<u64 *>a)[0] > (<u64 *>b)[0]) - ((<u64 *>a)[0] < (<u64 *>b)[0])


cdef u64 drop_repeats(u64 *entries, u64 n) noexcept nogil:
    """Sort entries and drop those named before; returns how many are left."""
    cdef u64 i, kept = 1
    qsort(entries, n, sizeof(u64), compare_entries)
    for i in range(1, n):
        if entries[i] != entries[kept - 1]:
            entries[kept] = entries[i]
            kept += 1
    return kept


def get(Arena arena, list refs, timeout=None):
    """The values of a list of references, in order."""
    cdef Py_ssize_t i, n = len(refs)
    cdef u64 *entries
    cdef u64 deadline, different = n, complete = 0
    cdef list values = []
    if n == 0:
        return []
    if n == 1:
        return [get_one(arena, refs[0], timeout)]
    deadline = deadline_of(timeout)
    entries = entries_of(refs)
    try:
        for i in range(n):
            complete += settled(word_at(arena, entries[i]), False)
        if complete < different:
            # An object completes once, however often it is named.
            different = drop_repeats(entries, n)
            complete = wait_for(arena, entries, different, different, deadline, False, True)
            free(entries)
            entries = NULL
            entries = entries_of(refs)
        for i in range(n):
            if RA_STATE(word_at(arena, entries[i])) == RA_ERROR:
                read(arena, refs[i])
        if complete < different:
            raise _hooks["timed_out"](different - complete, timeout)
        # One after the other, since memory may not hold all: what is back from disk makes room again for the next one,
        # unless it is read meanwhile.
        for i in range(n):
            if not settled(word_at(arena, entries[i]), True):
                if wait_for(arena, &entries[i], 1, 1, deadline, True, False) < 1:
                    raise _hooks["timed_out"](n - i, timeout)
            values.append(read(arena, refs[i]))
        return values
    finally:
        free(entries)


cpdef object read(Arena arena, ObjectRef ref):
    """The value of a settled reference.

    A small payload cannot move while the caller holds the reference. A large one may be spilled between the look at the
    state and the reading: the view count keeps it in place, and is looked at by the node before and after it says so.
    """
    cdef ra_heap *h = arena.open()
    cdef u64 entry = ref.at()
    cdef ra_entry *e = ra_entry_at(h, entry)
    cdef u64 word = atomic_load_u64(&e.word)
    cdef u32 state = RA_STATE(word)
    if e.size <= EMBED and (state == RA_VALUE or state == RA_ERROR):
        value = decode_value(arena, entry)
    elif state == RA_END:
        raise StopIteration
    else:
        while True:
            atomic_add_u32(&e.views, 1)
            try:
                word = atomic_load_u64(&e.word)
                state = RA_STATE(word)
                if state == RA_VALUE or state == RA_ERROR:
                    value = decode_value(arena, entry)
                    ra_note_copy(h, entry)
                    break
            finally:
                atomic_sub_u32(&e.views, 1)
            wait_for(arena, &entry, 1, 1, NEVER, True, False)
    if state == RA_ERROR:
        _hooks["raise_error"](value)
    return value


def wait(Arena arena, list refs, Py_ssize_t num_returns, timeout=None, bint fetch=False):
    """Split references into at most ``num_returns`` settled ones and the others, both in the order given.

    ``fetch``: this process's logical node counts as having a copy of each settled one.
    """
    cdef Py_ssize_t i, n = len(refs), taken = 0
    cdef u64 *entries = entries_of(refs)
    cdef list ready = [], rest = []
    try:
        wait_for(arena, entries, n, num_returns, deadline_of(timeout), False, False)
        for i in range(n):
            if taken < num_returns and settled(atomic_load_u64(&ra_entry_at(&arena.heap, entries[i]).word), False):
                ready.append(refs[i])
                taken += 1
                if fetch:
                    ra_note_copy(&arena.heap, entries[i])
            else:
                rest.append(refs[i])
        return ready, rest
    finally:
        free(entries)


def is_ready(Arena arena, ObjectRef ref):
    """Whether the object exists (or failed), without a wait."""
    return settled(atomic_load_u64(&ra_entry_at(&arena.heap, ref.at()).word), False)


def describe(Arena arena, ObjectRef ref):
    """Facts about an object, for tests and for the state listings: state, bytes, references, views."""
    cdef ra_entry *e = ra_entry_at(&arena.heap, ref.at())
    cdef u64 word = atomic_load_u64(&e.word)
    return {
        "state": RA_STATE(word), "format": RA_FORMAT(word), "size": e.size,
        "references": atomic_load_u32(&e.refs), "views": atomic_load_u32(&e.views), "offset": ref.entry,
        "copies": atomic_load_u32(&e.copies),
    }


def is_readable(Arena arena, ObjectRef ref):
    """Whether the value can be read now, without a wait for it or for its way back from disk."""
    return settled(atomic_load_u64(&ra_entry_at(&arena.heap, ref.at()).word), True)


def overwrite(Arena arena, ObjectRef ref, bytes error):
    """Replace a value by an error and free its memory, unless someone looks at it."""
    cdef ra_heap *h = arena.open()
    cdef u64 entry = ref.at(), payload
    cdef ra_entry *e = ra_entry_at(h, entry)
    cdef u64 word = atomic_load_u64(&e.word)
    if RA_STATE(word) != RA_VALUE or atomic_load_u32(&e.views):
        return False
    if not atomic_cas_u64(&e.word, &word, RA_WORD(RA_PENDING, 0, RA_FLAGS(word) & ~RA_EF_EMBEDDED, RA_GEN(word), 0)):
        return False
    payload = e.payload
    complete_failed(arena, entry, error, MARK_FAILED)
    if ra_has_payload(word) and not RA_FLAGS(word) & RA_EF_EMBEDDED:
        discard_payload(arena, payload)
    return True


add_counts(RA_LIVE)
