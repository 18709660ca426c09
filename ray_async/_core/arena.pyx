"""The shared arena: mapping it, joining it as a process, and allocating from it."""

import os

from libc.string cimport memcpy, memset
from posix.unistd cimport close as c_close

from ray_async._core.layout cimport *

cdef extern from "sys/mman.h" nogil:
    int munmap(void *, size_t)
    int MAP_SHARED

cdef extern from *:
    """
    #ifdef RA_DEBUG
    #define RA_IS_DEBUG 1
    #else
    #define RA_IS_DEBUG 0
    #endif
    #if defined(__SANITIZE_THREAD__)
    #define RA_SANITIZER "thread"
    #elif defined(__SANITIZE_ADDRESS__)
    #define RA_SANITIZER "address"
    #else
    #define RA_SANITIZER ""
    #endif
    """
    int RA_IS_DEBUG
    const char *RA_SANITIZER


def build_info():
    """How the core was compiled: ``debug``, ``sanitize`` (None, "address" or "thread"), and the ``version`` of the arena's layout."""
    return {"debug": bool(RA_IS_DEBUG), "sanitize": RA_SANITIZER.decode() or None, "version": RA_VERSION}

cdef ra_live_counts *_counts[32]
cdef int _n_counts = 0


cdef void add_counts(ra_live_counts *counts) noexcept:
    """Called by each module with its counts; NULL in a release build."""
    global _n_counts
    if counts != NULL and _n_counts < 32:
        _counts[_n_counts] = counts
        _n_counts += 1


def live_objects():
    """How many native objects this process has, by kind; nothing is counted, and the dict empty, in a release build.

    An ``ObjectRef`` counts while it holds an object; "hold slots" are the places in the arena where holds are noted.
    """
    cdef dict found = {}
    cdef int i, k
    for i in range(_n_counts):
        found["ObjectRef"] = found.get("ObjectRef", 0) + _counts[i].references
        found["hold slots"] = found.get("hold slots", 0) + _counts[i].hold_slots
        for k in range(_counts[i].n_types):
            found[ra_live_name(_counts[i], k).decode()] = ra_live_of_type(_counts[i], k)
    return found


def expect_damage(bint damaged):
    """Say that the arena's contents are damaged on purpose: a debug build then asserts no invariants of it."""
    cdef int i
    for i in range(_n_counts):
        _counts[i].lenient = damaged


cdef Arena current_arena = None


cpdef Arena get_current():
    """The arena of this process's session, or None."""
    return current_arena


def set_current(Arena arena):
    """Make ``arena`` the one that references are unpickled into; None when the session ends."""
    global current_arena
    current_arena = arena


_hooks = {}


def set_hooks(**functions):
    """Install ``full(wanted, used, limit)`` and ``node_died()``, the errors for an arena without room and without a node,
    and ``end_child(error)``, which ends a forked child that has come back from user code."""
    _hooks.update(functions)


def clear_hooks():
    """Take the hooks of a session that has ended back."""
    _hooks.clear()


class ArenaFullError(MemoryError):
    """No run of free chunks of the wanted size is left; ``args`` are the bytes wanted and the bytes in use."""


OVERFLOW = "overflow"  # name of the file, or of a link to it, in the session's directory

cdef enum:
    MOST_PLACES = 1 << 22  # chunks: offsets of records and entries, in units of 64 bytes, must fit into 32 bits
    HOPE = 100000000  # ns to wait for room although the node finds nothing to spill: what somebody is writing may be next


cdef u64 _aligned(u64 n, u64 to) noexcept nogil:
    return (n + to - 1) // to * to


cdef class Arena:
    """One mapping of a session's shared memory, seen from one process.

    Args:
        fd: descriptor of the memory; owned by the arena from now on.
        directory: the session's directory, for wake-up sockets.
    """

    def __init__(self, int fd, str directory):
        cdef int overflow = -1
        cdef u64 size = os.fstat(fd).st_size
        cdef u8 *base
        memset(&self.heap, 0, sizeof(self.heap))
        self.fd = -1
        self.heap.wake_socket = self.heap.directory = -1
        self.heap.split = size
        if os.path.lexists(os.path.join(directory, OVERFLOW)):
            overflow = os.open(os.path.join(directory, OVERFLOW), os.O_RDWR | os.O_CLOEXEC)
            size += os.fstat(overflow).st_size
        self.heap.memory, self.heap.overflow = fd + 1, overflow + 1
        base = ra_map(&self.heap, NULL, MAP_SHARED, 0, size)
        if base == NULL:
            if overflow >= 0:
                c_close(overflow)
            raise OSError("cannot map the session's shared memory")
        self.heap.base = base
        self.heap.super = <ra_super *>base
        self.size = size
        self.fd = fd
        self.directory = directory
        self.pid = os.getpid()
        self.idle_waiters = []
        self.node_fd = -1

    @staticmethod
    def create(u64 limit, str directory, u64 lineage_limit=1 << 30, u64 places=RA_PLACES):
        """Make a new arena for at most ``limit`` bytes of objects, records and queues in memory.

        A file or link of the name ``overflow`` in the directory, a multiple of a chunk long, takes what finds no room.
        Address space is reserved for ``places`` times the limit, or for as much of that as this process may have.
        """
        cdef u64 n_limit = max(64, limit // RA_CHUNK)
        cdef int fd = ra_shared_memory(b"ray_async")
        if fd < 0:
            raise OSError(-fd, os.strerror(-fd))
        try:
            while True:
                try:
                    return Arena._lay_out(fd, directory, n_limit, max(n_limit, min(n_limit * places, MOST_PLACES)), lineage_limit)
                except OSError:
                    if places == 1:
                        raise
                    places //= 2
        except BaseException:
            c_close(fd)
            raise

    @staticmethod
    def _lay_out(int fd, str directory, u64 n_limit, u64 n_chunks, u64 lineage_limit):
        cdef u64 procs = 4096
        cdef u64 waiters = procs + sizeof(ra_proc) * <u64>RA_MAX_PROCS
        cdef u64 classes = waiters + sizeof(ra_waiter) * <u64>RA_MAX_WAITERS
        cdef u64 events = _aligned(classes + RA_CLASS_TABLE_BYTES, 4096)
        cdef u64 chunks = _aligned(events + ra_queue_bytes(RA_EVENTS_LOG2), 4096)
        cdef u64 data, size
        link = os.path.join(directory, OVERFLOW)
        cdef u64 n_overflow = os.stat(link).st_size // RA_CHUNK if os.path.lexists(link) else 0
        data = _aligned(chunks + sizeof(ra_chunk) * (n_chunks + n_overflow), RA_CHUNK)
        size = data + n_chunks * RA_CHUNK
        os.ftruncate(fd, size)
        cdef Arena self = Arena(fd, directory)
        cdef ra_super *s = self.heap.super
        session = os.urandom(16)
        memcpy(s.session, <char *>session, 16)
        s.version, s.bytes, s.limit = RA_VERSION, self.size, n_limit * RA_CHUNK
        s.n_memory, s.n_chunks = <u32>n_chunks, <u32>(n_chunks + n_overflow)
        s.procs, s.waiters, s.classes, s.events, s.chunks, s.data = procs, waiters, classes, events, chunks, data
        s.lineage_limit = lineage_limit
        atomic_store_u32(&s.next_uid, 1)
        ra_queue_init(queue_at(&self.heap, events), RA_EVENTS_LOG2)
        s.magic = RA_MAGIC
        self.session = session
        return self

    @staticmethod
    def attach(int fd, str directory):
        """Map an existing arena.

        Raises:
            ValueError: the memory is not an arena of this version.
        """
        cdef Arena self = Arena(fd, directory)
        cdef ra_super *s = self.heap.super
        if self.size < 4096 or s.magic != RA_MAGIC or s.version != RA_VERSION or s.bytes != self.size:
            raise ValueError("this is not the shared memory of a session of this version of ray_async")
        self.session = (<char *>s.session)[:16]
        return self

    def __dealloc__(self):
        if self.heap.base != NULL:
            ra_lanes_unmap(&self.lanes)
            munmap(self.heap.base, self.size)
        if self.heap.wake_socket >= 0:
            c_close(self.heap.wake_socket)
        if self.heap.directory >= 0:
            c_close(self.heap.directory)
        if self.heap.base != NULL:
            if self.heap.overflow:
                c_close(self.heap.overflow - 1)
            if self.fd >= 0:
                c_close(self.fd)

    def join(self, u32 kind, int slot=-1, u32 job=0, int pid=0):
        """Take a slot of the process table (or the given one, reserved by the node) and return it."""
        cdef ra_heap *h = &self.heap
        cdef ra_proc *p
        cdef u32 expected, i
        if slot < 0:
            slot = self.reserve(kind)
        p = proc_at(h, slot)
        p.pid, p.kind, p.job = pid or os.getpid(), kind, job
        p.uid = atomic_add_u32(&h.super.next_uid, 1) & 0xffffff
        h.slot, h.uid, h.counter = slot, p.uid, 0
        h.hold_free = h.hold_fresh = h.hold_end = 0
        h.closed = 0
        self.forked = False
        ra_heap_forget(h)
        ra_lanes_close(&self.lanes)
        self.lanes.pagemap = 0  # each process has a page table of its own
        self.pid = os.getpid()
        self.idle_waiters = []
        h.wake_socket = -1
        if h.directory < 0:
            h.directory = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        p.waiter = self.new_waiter(RA_WAITER_THREAD)
        atomic_store_u32(&p.state, RA_PROC_ALIVE)
        return slot

    def reserve(self, u32 kind):
        """Claim a free slot of the process table for a process that will join."""
        cdef ra_heap *h = &self.heap
        cdef u32 i, expected, n
        for i in range(1, RA_MAX_PROCS):
            expected = RA_PROC_FREE
            if atomic_cas_u32(&proc_at(h, i).state, &expected, RA_PROC_STARTING):
                proc_at(h, i).kind = kind
                proc_at(h, i).pid = 0
                proc_at(h, i).node = 0
                atomic_store_u32(&proc_at(h, i).flags, 0)
                atomic_store_u32(&proc_at(h, i).blocked, 0)
                atomic_store_u64(&proc_at(h, i).lease, 0)
                atomic_store_u64(&proc_at(h, i).current, 0)
                atomic_store_u64(&proc_at(h, i).holds, 0)
                atomic_store_u32(&proc_at(h, i).looking, 0)
                atomic_store_u64(&proc_at(h, i).serving, 0)
                atomic_store_u64(&proc_at(h, i).growing, 0)
                atomic_store_u64(&proc_at(h, i).idle_since, 0)
                atomic_store_u64(&proc_at(h, i).done, 0)
                n = atomic_load_u32(&h.super.n_procs)
                while n < i + 1 and not atomic_cas_u32(&h.super.n_procs, &n, i + 1):
                    pass
                return i
        raise RuntimeError(f"the session has {RA_MAX_PROCS - 1} processes, and no place for another one")

    cdef ra_heap *open(self) except NULL:
        if self.heap.closed:
            raise RuntimeError(
                "this process was forked from one with a ray_async session, or that session was shut down: "
                "call init() to start a session of its own"
            )
        return &self.heap

    cdef int check_node(self) except -1:
        """Raise the error for a session whose node is gone, if this process has noticed that."""
        if self.heap.node_dead:
            raise _hooks["node_died"]() if "node_died" in _hooks else ConnectionError("the node process has died")
        return 0

    def note_node_death(self):
        """The node is gone: submissions and waits of this process fail from now on. What is complete can be read."""
        self.heap.node_dead = 1

    cdef u32 new_waiter(self, u32 kind) except 0xffffffff:
        cdef ra_heap *h = &self.heap
        cdef u32 i, expected, n
        cdef ra_waiter *w
        for i in range(RA_MAX_WAITERS):
            w = ra_waiter_at(h, i)
            expected = RA_WAITER_FREE
            if atomic_load_u32(&w.kind) == RA_WAITER_FREE and atomic_cas_u32(&w.kind, &expected, kind):
                w.slot = h.slot  # `queue` stays: the next loop in this place uses the ring again
                atomic_store_u32(&w.armed, 0)
                atomic_store_u32(&w.multi, 0)
                atomic_store_u32(&w.rescan, 0)
                atomic_store_i32(&w.need, 0)
                n = atomic_load_u32(&h.super.n_waiters)
                while n < i + 1 and not atomic_cas_u32(&h.super.n_waiters, &n, i + 1):
                    pass
                return i
        raise RuntimeError(f"more than {RA_MAX_WAITERS} threads and event loops wait in this session")

    cdef u64 alloc(self, u32 kind, u64 size) except 0:
        cdef u64 offset = ra_alloc(&self.heap, kind, size)
        if offset:
            return offset
        if ra_reclaim_empty(&self.heap):
            offset = ra_alloc(&self.heap, kind, size)
            if offset:
                return offset
        return self._alloc_pressed(kind, size)

    def _alloc_pressed(self, u32 kind, u64 size):
        """The arena is full: have the node spill objects, and wait for room."""
        cdef ra_heap *h = &self.heap
        cdef u64 offset = 0, now = ra_now_ns(), deadline = now + 10 * 1000000000ull, pause = 1000000, hopeless = now + HOPE
        cdef u32 answers = atomic_load_u32(&h.super.spill_answers)
        cdef bint stuck = False
        cdef au32 word = 0
        if size <= h.super.limit and not h.reserve:
            while now < deadline and not stuck and atomic_load_u32(&h.super.node_state) != RA_NODE_DOWN:
                ra_event(h, RA_EV_FULL, size)
                with nogil:
                    ra_futex_wait(&word, 0, pause)
                pause = min(pause * 2, <u64>50000000)
                if ra_readable(self.node_fd):
                    self.heap.node_dead = 1
                self.check_node()
                now = ra_now_ns()
                # Only what the node has found since counts; and room is looked for after that, not before.
                stuck = (
                    now >= hopeless and atomic_load_u32(&h.super.spill_stuck) > 2
                    and atomic_load_u32(&h.super.spill_answers) - answers > 2
                )
                offset = ra_alloc(h, kind, size)
                if offset == 0 and ra_reclaim_empty(h):
                    offset = ra_alloc(h, kind, size)
                if offset:
                    return offset
        self.check_node()
        if kind == RA_CHUNK_DATA and size <= h.super.limit and self.heap.overflow:
            offset = self.alloc_overflow(size)
            if offset:
                return offset
        facts = (size, atomic_load_u64(&h.super.used) * RA_CHUNK, h.super.limit)
        raise _hooks["full"](*facts) if "full" in _hooks else ArenaFullError(*facts)

    cdef u64 alloc_overflow(self, u64 size) except? 0:
        """Memory for a payload in the overflow file; 0 when it has none, or the disk is to keep what it has left."""
        cdef ra_heap *h = &self.heap
        if h.overflow == 0 or size <= RA_LARGEST_BLOCK:
            return 0
        disk = os.fstatvfs(h.overflow - 1)
        if disk.f_bavail * disk.f_frsize < size + disk.f_blocks * disk.f_frsize * h.super.disk_reserve // 1000:
            return 0
        return ra_alloc_overflow(h, size)

    def limit_disk(self, u64 budget, double capacity):
        """Bound what the overflow file takes: ``budget`` bytes together with spilled objects (0: no bound), ``capacity`` of the disk."""
        atomic_store_u64(&self.heap.super.spill_budget, budget)
        self.heap.super.disk_reserve = <u32>(1000 * (1 - min(max(capacity, 0.0), 1.0)))

    def trim(self):
        """Take back slabs in which every block is free. Returns the bytes that this gave."""
        return ra_reclaim_empty(self.open()) * RA_CHUNK

    def close(self):
        """End this process's part; references and views that still exist stay readable, and do nothing when they go."""
        self.heap.closed = 1
        ra_lanes_close(&self.lanes)
        # The mapping needs no descriptor, and the last reference may be kept for long.
        if self.heap.wake_socket >= 0:
            c_close(self.heap.wake_socket)
        if self.heap.directory >= 0:
            c_close(self.heap.directory)
        if self.heap.overflow:
            c_close(self.heap.overflow - 1)
        if self.fd >= 0:
            c_close(self.fd)
        self.heap.memory = self.heap.overflow = 0
        self.heap.wake_socket = self.heap.directory = self.fd = -1

    def after_fork(self):
        """In a forked child: the slot belongs to the parent, so nothing of this process may touch the shared counts."""
        self.heap.closed = 1
        ra_lanes_close(&self.lanes)
        self.forked = True

    cpdef int end_if_forked(self, error=None) except -1:
        """End this process, a worker's child that has come back from user code, if it is one; ``error`` is what it raised."""
        if self.forked and "end_child" in _hooks:
            _hooks["end_child"](error)
        return 0

    # -- facts --

    @property
    def slot(self):
        return self.heap.slot

    @property
    def uid(self):
        return self.heap.uid

    @property
    def limit(self):
        """Bytes that objects, records and queues may take."""
        return self.heap.super.limit

    @property
    def used(self):
        """Bytes of the chunks in use."""
        return atomic_load_u64(&self.heap.super.used) * RA_CHUNK

    @property
    def overflow(self):
        """Bytes of the overflow file in use."""
        return atomic_load_u64(&self.heap.super.overflow) * RA_CHUNK

    @property
    def resident(self):
        """Bytes of the chunks in shared memory that may have pages, in use or not."""
        return atomic_load_u64(&self.heap.super.resident) * RA_CHUNK

    @property
    def node_state(self):
        return atomic_load_u32(&self.heap.super.node_state)

    @property
    def closed(self):
        return bool(self.heap.closed)


def _close_in_child():
    if current_arena is not None:
        current_arena.after_fork()


os.register_at_fork(after_in_child=_close_in_child)
add_counts(RA_LIVE)
ra_count_type(Arena)
