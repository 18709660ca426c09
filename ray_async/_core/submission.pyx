"""Submitting: from a call's arguments to a record in a queue."""

import contextvars
import sys

cimport cython

from ray_async._core.arena cimport Arena, add_counts, current_arena, get_current
from ray_async._core.codec cimport Encoder, acquire_encoder, build_payload, decode_payload
from ray_async._core.layout cimport *
from ray_async._core.object_ref cimport ObjectRef, first_ref, new_ref, own_ref
from ray_async._core.object_ref import load_ref, no_room
from ray_async._core.store cimport read

cdef enum:
    INLINE_ARGS = 2048      # payloads up to here lie in the record's block
    FIRST_RING_LOG2 = 6     # calls that a queue has room for before it grows, and at most before it overflows
    LARGEST_RING_LOG2 = 14


# The record that is being executed, as the parent of what is submitted meanwhile. A worker that runs one task at a time keeps
# it in a variable; one that runs several, in threads or on a loop, in a context variable, which asyncio tasks that the record
# has left behind still have: so it is noted with its generation, see ra_run_of. A worker can do the one after the other.
cdef u64 _parent = 0
cdef bint _concurrent = False
_parent_var = contextvars.ContextVar("ray_async_parent", default=0)


cdef inline u64 parent_run() except? 0:
    return <u64>_parent_var.get() if _concurrent else _parent


# The cancel scope around the calling thread or asyncio task. The variable is looked at once a scope was opened in this process.
cdef bint _scoped = False
_scope_var = contextvars.ContextVar("ray_async_scope", default=0)

# What adds the caller's context to a call's options; asked once a variable is registered, or OpenTelemetry is loaded.
cdef object _carry = None
cdef bint _carries = False
cdef dict _modules = sys.modules


def set_hooks(*, carry):
    """Set ``carry(options: ObjectRef | None) -> ObjectRef | None``, which may exchange the options of a call for its own."""
    global _carry
    _carry = carry


def carry_context():
    """From now on ask the hook at each call."""
    global _carries
    _carries = True


def enter_scope(Arena arena):
    """Open a cancel scope around what the calling thread or asyncio task submits. Returns ``(scope, token)``."""
    global _scoped
    cdef u32 scope = 0
    while scope == 0:  # none; numbers are the session's, as scopes of several processes may be cancelled in one look
        scope = atomic_add_u32(&arena.open().super.next_scope, 1) + 1
    _scoped = True
    return scope, _scope_var.set(scope)


def leave_scope(token):
    """Close the scope that ``enter_scope`` opened in this context."""
    _scope_var.reset(token)


cdef inline u32 scope_of(ra_heap *h, u64 parent) except? 0:
    cdef u32 scope = 0
    if _scoped:
        scope = _scope_var.get()
    if scope == 0 and parent:
        scope = ra_record_at(h, parent).scope
    return scope


def new_queue(Arena arena, u32 cls=0, u64 actor=0):
    """A queue in the arena; returns its offset."""
    cdef u64 queue = 0
    make_queue(arena, cls, actor, &queue)
    return queue


cdef int make_queue(Arena arena, u32 cls, u64 actor, u64 *place) except -1:
    """A queue whose offset is in ``place`` before its block says what it is: until then the block is its maker's."""
    cdef ra_heap *h = arena.open()
    place[0] = arena.alloc(RA_CHUNK_OBJ, ra_queue_bytes(FIRST_RING_LOG2))
    ra_in_order()
    ra_queue_init_growing(queue_at(h, place[0]), FIRST_RING_LOG2, LARGEST_RING_LOG2)
    queue_at(h, place[0]).cls = cls
    queue_at(h, place[0]).actor = actor
    return 0


def get_class(Arena arena, ObjectRef spec, bytes description):
    """The scheduling class with a description, made where there is none.

    The class lasts for as long as somebody has a reference to its description, and records of it may run. The node learns
    of a new one by an event; records may be queued at once.

    Args:
        spec: a reference to the description, for a class that has to be made; None to find one only.
        description: the same as bytes.

    Returns:
        ``(id, queue, reference, made)``; None when there is none, and no place for one (of which the node is notified).
    """
    cdef ra_heap *h = arena.open()
    cdef const u8 *data = <const u8 *><const char *>description
    cdef u64 n = len(description), hash = ra_class_hash(data, n), hold = 0
    cdef u32 own = 0, cls = ra_class_find(h, <u32>atomic_load_u64(ra_class_bucket(h, hash)), 0, hash, data, n, &hold)
    if cls == 0 and spec is not None:
        own = ra_class_begin(h)
        if own == 0:
            ra_event(h, RA_EV_CLASS, 0)
            return None
        try:
            class_at(h, own).hash = hash
            make_queue(arena, own, 0, &class_at(h, own).queue)
        except BaseException:
            ra_class_abandon(h, own)
            raise
        atomic_add_u32(&ra_entry_at(h, spec.at()).refs, 1)
        ra_in_order()
        class_at(h, own).spec = spec.entry
        cls = ra_class_publish(h, own, data, n, &hold)
    if cls == 0:
        return None
    if cls == own:
        ra_event(h, RA_EV_CLASS, cls)
        return cls, class_at(h, cls).queue, spec, True
    return cls, class_at(h, cls).queue, noted_ref(arena, class_at(h, cls).spec, hold), False


cdef ObjectRef noted_ref(Arena arena, u64 entry, u64 hold):
    """A reference that is counted and noted already."""
    cdef ObjectRef ref = ObjectRef.__new__(ObjectRef)
    ref.arena, ref.entry, ref.hold = arena, entry, hold
    ra_count_reference(1)
    return ref


def lease_first(Arena arena, u32 slot, u32 cls):
    """Give a worker that was forked with the node its first lease, before there is a node to do so.

    The node finds the lease in the process table when it is up. Returns False when it is up already.
    """
    cdef ra_heap *h = arena.open()
    cdef ra_proc *p = proc_at(h, slot)
    cdef u64 none = 0
    if atomic_load_u32(&h.super.node_state) != RA_NODE_STARTING:
        return False
    if not atomic_cas_u64(&p.lease, &none, RA_LEASE_WORD(RA_LEASE_IDLE, 0, cls)):
        return False
    if p.pid and p.waiter < RA_MAX_WAITERS:
        ra_wake(h, p.waiter)
    return True


@cython.no_gc
cdef class ActorCore:
    """A counted reference to an actor; what a handle wraps. Equal when the actor is the same."""

    @property
    def actor_id(self):
        """The actor's id, 16 bytes."""
        cdef ra_entry *e = ra_entry_at(&self.ref.arena.heap, self.offset)
        return (
            (<u64>e.seq).to_bytes(8, "little") + self.ref.arena.session[:4] + (<u32>e.job).to_bytes(4, "little")
        )

    @property
    def seq(self):
        return ra_entry_at(&self.ref.arena.heap, self.offset).seq

    @property
    def entry(self):
        """Offset in the arena: what the node calls the actor."""
        return self.ref.at()

    @property
    def state(self):
        """1 pending, 2 alive, 3 restarting, 4 dead."""
        return atomic_load_u32(&actor_at(&self.ref.arena.heap, self.ref.at()).state)

    @property
    def pending(self):
        """Calls that wait in the queue."""
        cdef ra_heap *h = &self.ref.arena.heap
        return ra_queue_length(h, queue_at(h, actor_at(h, self.ref.at()).queue))

    @property
    def usable(self):
        """Whether the session that the actor belongs to is this process's."""
        return self.ref.arena is get_current() and not self.ref.arena.heap.closed

    def __eq__(self, other):
        return isinstance(other, ActorCore) and self.ref == (<ActorCore>other).ref

    def __hash__(self):
        return hash(self.ref)

    def __reduce__(self):
        return load_actor, self.ref.__reduce__()[1]


def load_actor(u64 entry, u64 seq, bytes session):
    """Rebuild what a handle wraps from a payload."""
    return actor_core(load_ref(entry, seq, session))


def actor_core(ObjectRef ref):
    """Wrap a reference to an actor's entry."""
    cdef ActorCore core = ActorCore.__new__(ActorCore)
    core.ref = ref
    core.offset = ref.at()
    if RA_FORMAT(atomic_load_u64(&ra_entry_at(&ref.arena.heap, core.offset).word)) != RA_F_ACTOR:
        raise ValueError(f"{ref!r} is not an actor")
    return core


def actor_at_offset(Arena arena, u64 offset):
    """One more reference to the actor that the node named, which it keeps alive while it answers."""
    if not ra_block_check(&arena.heap, offset, RA_CHUNK_OBJ):
        raise ValueError("no actor there")
    return actor_core(new_ref(arena, offset))


def new_actor(Arena arena, ObjectRef spec):
    """An actor's place in the arena, pending; returns its core."""
    cdef ra_heap *h = arena.open()
    cdef u64 offset = arena.alloc(RA_CHUNK_OBJ, sizeof(ra_actor)), seq = ra_next_seq(h)
    cdef ra_actor *a = actor_at(h, offset)
    cdef ObjectRef ref
    a.creation = a.error = a.spec = a.queue = 0
    ra_entry_begin(h, offset, seq, generation(seq), RA_F_ACTOR, 0)
    a.job = a.entry.job
    atomic_store_u32(&a.state, RA_ACTOR_PENDING)
    atomic_store_u32(&a.slot, 0)
    atomic_store_u32(&a.restarts, 0)
    try:
        atomic_add_u32(&ra_entry_at(h, spec.at()).refs, 1)
        a.spec = spec.entry
        make_queue(arena, 0, offset, &a.queue)
        ref = first_ref(arena, offset)
        if ref is None:
            raise no_room()
    except BaseException:
        ra_entry_abandon(h, offset)
        raise
    ra_entry_publish(h, offset, RA_VALUE)
    return actor_core(ref)


def submit_actor(ActorCore actor, Template creation, tuple args, dict kwargs, call=None):
    """Write the record of ``__init__`` and notify the node that the actor wants a place; ``call`` is as in `Template.forward`."""
    cdef Arena arena = actor.ref.arena
    cdef ra_heap *h = &arena.heap
    cdef ra_actor *a = actor_at(h, actor.offset)
    cdef bint waits = False
    cdef u64 record = creation.prepare(args, kwargs, &waits, call)
    cdef ObjectRef ref = first_ref(arena, record + sizeof(ra_record))
    if ref is None:
        ra_record_abandon(h, record)
        raise no_room()
    a.creation = record
    # The node queues it when the actor has a place; a pending argument is waited for in the worker.
    atomic_store_u64(&ra_record_at(h, record).word, RA_R_WORD(RA_REC_WAITING, 0, 0, generation(ra_record_at(h, record).seq), 0))
    ra_event(h, RA_EV_ACTOR, actor.offset)
    return ref


cdef class Template:
    """Everything about a remote call but its arguments.

    Args:
        fn: reference to the exported function, class or method.
        opts: reference to options that are rarely set, or None.
        queue: offset of the queue; ignored for actors.
        n_returns: number of references a call gives; -1 for a stream of them.
        retries: after crashes; -1 for ever.
        detached: the producer of a stream runs on when nobody reads it any more.
        keep: what is to live as long: the owners of the function's export and of the scheduling class.
    """

    def __init__(
        self, Arena arena, ObjectRef fn, *, ObjectRef opts=None, u64 queue=0, ActorCore actor=None, int n_returns=1,
        int retries=0, u32 kind=0, bint retry_errors=False, bint is_async=False, u32 backpressure=0, bint detached=False,
        make_generator=None, keep=None,
    ):
        self.arena, self.fn, self.opts, self.actor = arena, fn, opts, actor
        self.queue = queue if actor is None else actor_at(&arena.heap, actor.offset).queue
        self.kflags = (RA_KF_RETRY_ERRORS if retry_errors else 0) | (RA_KF_ASYNC if is_async else 0)
        self.kind, self.retries, self.backpressure = kind, retries, backpressure
        if n_returns < 0:
            self.kflags |= RA_KF_STREAM | (RA_KF_DETACHED if detached else 0)
            n_returns = 2
        if n_returns > 0xffff:
            raise ValueError(f"a task has at most 65535 returns, not {n_returns}: return one list instead")
        self.n_returns = n_returns
        self.make_generator, self.kept = make_generator, keep

    @property
    def returns(self):
        return self.n_returns

    cdef u64 prepare(self, tuple args, dict kwargs, bint *waits, object call=None) except 0:
        """A record in state NEW; ``waits`` says whether it is to wait for arguments.

        ``call``, where it is given, stands for the arguments when it is unpickled; ``args`` are its references then.

        The caller takes the references to its returns and publishes it. Were it published first, nobody would give those
        back should this process be killed in between.
        """
        cdef Arena arena = self.arena
        cdef ra_heap *h = arena.open()
        cdef Encoder e = None
        cdef u64 record = 0, args_size = 0, base, seq
        cdef u32 i, kflags = self.kflags
        cdef ra_record *r
        cdef ObjectRef opts = self.opts
        arena.check_node()
        if _carries or "opentelemetry.context" in _modules:
            opts = _carry(opts)
        try:
            if args or kwargs or call is not None:
                e = acquire_encoder(arena)
                if call is None:
                    e.encode_arguments(args, kwargs if kwargs else None)
                else:
                    e.encode_call(call, args)
                if e.n_direct > 0xffff:
                    raise ValueError(f"a call takes at most 65535 references as arguments, not {e.n_direct}: pass a list of them")
                args_size = e.payload_size()
            base = sizeof(ra_record) + self.n_returns * sizeof(ra_entry)
            if args_size > INLINE_ARGS:
                kflags |= RA_KF_SEPARATE_ARGS
            record = arena.alloc(RA_CHUNK_REC, base if kflags & RA_KF_SEPARATE_ARGS else base + args_size)
            r = ra_record_at(h, record)
            seq = ra_next_seq(h)
            ra_record_begin(h, record, seq, generation(seq), self.kind, kflags)
            if e is not None:
                if kflags & RA_KF_SEPARATE_ARGS:
                    build_payload(arena, e, &r.args)
                elif args_size:
                    e.write(record + base, &r.args)
                for i in range(<u32>e.n_direct):
                    if RA_STATE(atomic_load_u64(&ra_entry_at(h, (<ObjectRef>e.refs[i]).entry).word)) != RA_VALUE:
                        waits[0] = True
                ra_payload_at(h, r.args).word |= <u64>e.n_direct << 16
        except BaseException:
            if record:
                ra_record_abandon(h, record)
            raise
        finally:
            if e is not None:
                e.finish()
        self._fill(record, opts)
        return record

    cdef int _fill(self, u64 record, ObjectRef opts) except -1:
        """Write what a call's record says beside its arguments. Each pin is counted and then noted, as in objects.h."""
        cdef ra_heap *h = &self.arena.heap
        cdef ra_record *r = ra_record_at(h, record)
        cdef ra_entry *entry
        cdef u32 i, flags = RA_EF_IN_RECORD | (RA_EF_STREAM if self.kflags & RA_KF_STREAM else 0)
        plain_store_u32(&r.live, self.n_returns + 1)
        r.parent = ra_parent(h, parent_run())
        r.parent_seq = ra_record_at(h, r.parent).seq if r.parent else 0
        # A creation belongs to no scope: actors outlive what created them. A detached stream outlives its reader.
        r.scope = 0 if self.kind == RA_KIND_ACTOR_INIT or self.kflags & RA_KF_DETACHED else scope_of(h, r.parent)
        atomic_add_u32(&ra_entry_at(h, self.fn.entry).refs, 1)
        r.fn = self.fn.entry
        if opts is not None:
            atomic_add_u32(&ra_entry_at(h, opts.entry).refs, 1)
            r.opts = opts.entry
        r.queue = self.queue
        plain_store_u64(&r.next, 0)
        if self.actor is not None:
            if self.kind != RA_KIND_ACTOR_INIT:
                atomic_add_u32(&ra_entry_at(h, self.actor.offset).refs, 1)
            r.actor = self.actor.offset
        r.owner, r.job = h.slot, proc_at(h, h.slot).job
        plain_store_i32(&r.retries, self.retries)
        plain_store_u32(&r.produced, 0)
        plain_store_u32(&r.consumed, 0)
        plain_store_u32(&r.consumer_waits, 0)
        r.backpressure = self.backpressure
        for i in range(self.n_returns):
            entry = &r.returns[i]
            plain_store_u32(&entry.refs, 1)
            plain_store_u32(&entry.views, 0)
            entry.payload = entry.size = entry.link = 0
            entry.seq, entry.index, entry.owner, entry.job = r.seq, i, h.slot, r.job
            plain_store_u64(&entry.word, RA_WORD(RA_PENDING, 0, flags, generation(r.seq + i), 0))
        r.n_returns = <u16>self.n_returns
        if self.kflags & RA_KF_STREAM:
            r.tail = record + sizeof(ra_record)
        return 0

    cdef object _references(self, u64 record):
        """References to all returns; None when there is no room to note them."""
        cdef u64 first = record + sizeof(ra_record)
        cdef ObjectRef ref
        cdef list refs = []
        cdef u32 i
        if self.kflags & RA_KF_STREAM:
            return new_cursor(self.arena, record)
        for i in range(self.n_returns):
            ref = first_ref(self.arena, first + i * sizeof(ra_entry))
            if ref is None:
                return None
            refs.append(ref)
        return refs

    cdef bint must_fail(self) noexcept:
        """Whether the actor takes no such call: it is dead, or between two lives, and the call may not wait for the next."""
        cdef u32 state = atomic_load_u32(&actor_at(&self.arena.heap, self.actor.offset).state)
        return state == RA_ACTOR_DEAD or state == RA_ACTOR_RESTARTING and self.retries == 0

    def __call__(self, tuple args, dict kwargs=None):
        """Submit a call. Returns a reference, a list of them, None (no returns), or a generator of references."""
        cdef bint waits = False
        return self._publish(self.prepare(args, kwargs, &waits), waits)

    def forward(self, call, tuple refs):
        """Submit a call whose arguments come from elsewhere, as they were pickled there.

        Args:
            call: unpickles as ``(args, kwargs)``.
            refs: those references in it that are arguments themselves.
        """
        cdef bint waits = False
        return self._publish(self.prepare(refs, None, &waits, call), waits)

    cdef object _publish(self, u64 record, bint waits):
        """Queue a record that is prepared, or have it wait for arguments; its references."""
        cdef ra_heap *h
        cdef u64 parent, parent_seq, seq
        if self.n_returns == 1:
            result = first_ref(self.arena, record + sizeof(ra_record))
        else:
            result = self._references(record)
        h = &self.arena.heap
        if result is None:
            ra_record_abandon(h, record)
            raise no_room()
        parent, parent_seq = ra_record_at(h, record).parent, ra_record_at(h, record).parent_seq
        seq = ra_record_at(h, record).seq
        ra_record_publish(h, record, RA_REC_WAITING if waits and self.kind == RA_KIND_TASK else RA_REC_QUEUED)
        if parent:
            ra_follow_parent(h, parent, parent_seq, record, generation(seq))
        if self.actor is not None and self.must_fail():
            ra_event(h, RA_EV_ACTOR_DRAIN, self.actor.offset)
        if self.kflags & RA_KF_STREAM:
            return self.make_generator(result)
        return result if self.n_returns else None


UNREADY, ENDED = object(), object()  # what StreamCursor.take() returns instead of a value


cdef inline u32 unread_to_go_on(u32 limit) noexcept:
    """Unread items at which a generator goes on that has paused at so many.

    With room for many a pause lasts until half of them are read, so that it is worth a wake-up; with few all are used.
    """
    return limit // 2 if limit >= 32 else limit - 1


cdef class StreamCursor:
    """The reading end of a stream: the item that comes next, and the reference that says how the task ended."""

    cdef Arena arena
    cdef readonly ObjectRef current  # None once the stream is over
    cdef readonly ObjectRef done
    cdef u64 record                  # lives as long as `done` does

    def advance(self):
        """The reference of the item that is ready, or None at the end of the stream; the next one becomes current.

        Raises:
            RuntimeError: the item is not ready yet.
        """
        cdef ra_heap *h = self.arena.open()
        cdef ObjectRef item = self.current
        cdef ra_entry *e
        cdef ra_record *r
        cdef u64 word, following
        cdef u32 waiter
        if item is None:
            return None
        e = ra_entry_at(h, item.entry)
        word = atomic_load_u64(&e.word)
        if RA_STATE(word) == RA_PENDING:
            raise RuntimeError("the next item of the stream is not ready")
        if RA_STATE(word) == RA_END:
            self.current = None
            return None
        # The pin that the item had on the next one becomes ours, so that a kept item does not keep all later ones.
        following, e.link = e.link, 0
        self.current = own_ref(self.arena, following) if following else None
        r = ra_record_at(h, self.record)
        atomic_add_u32(&r.consumed, 1)
        if (
            atomic_load_u32(&r.consumer_waits)
            and atomic_load_u32(&r.produced) - atomic_load_u32(&r.consumed) <= unread_to_go_on(r.backpressure)
            and (waiter := atomic_exchange_u32(&r.consumer_waits, 0))
        ):
            atomic_store_i32(&ra_waiter_at(h, waiter - 1).need, 0)
            ra_wake(h, waiter - 1)
        return item

    def take(self):
        """The value of the item that comes next, which the following one takes the place of.

        Returns:
            The value; `UNREADY` while there is none to be read at once, `ENDED` at the end of the stream.

        Raises:
            RayError: what the item holds is an error.
        """
        cdef ObjectRef item = self.current
        cdef u32 state
        if item is None:
            return ENDED
        state = RA_STATE(atomic_load_u64(&ra_entry_at(self.arena.open(), item.entry).word))
        if state == RA_END:
            self.current = None
            return ENDED
        if state != RA_VALUE and state != RA_ERROR:
            return UNREADY
        return read(self.arena, self.advance())

    def leave(self):
        """Read no more. Returns whether the producer is to end for that: it may be at work, and is not detached."""
        cdef bint reads = self.current is not None and not self.arena.heap.closed
        self.current = None
        return reads and not ra_record_at(&self.arena.heap, self.record).kflags & RA_KF_DETACHED

    @property
    def task(self):
        """Any reference of the task, for cancelling it."""
        return self.done


cdef StreamCursor new_cursor(Arena arena, u64 record):
    """The reading end of a stream that is not published yet; None when there is no room to note its references."""
    cdef StreamCursor cursor = StreamCursor.__new__(StreamCursor)
    cursor.arena = arena
    cursor.record = record
    cursor.current = first_ref(arena, record + sizeof(ra_record))
    cursor.done = first_ref(arena, record + sizeof(ra_record) + sizeof(ra_entry))
    return cursor if cursor.current is not None and cursor.done is not None else None


cpdef set_parent(u64 record, bint concurrent=False):
    """Say what this process (``concurrent``: this thread or asyncio task) executes; 0 for nothing."""
    global _parent, _concurrent
    cdef u64 run = record
    if record and current_arena is not None:
        run = ra_run_of(&current_arena.heap, record)
    if concurrent:
        _concurrent = True
        _parent_var.set(run)
    else:
        _concurrent = False
        _parent = run


def current_parent():
    """Offset of the record being executed; 0 for none, and where it has gone and another one has its place."""
    cdef u64 run = parent_run(), record = RA_RUN_RECORD(run)
    if run >> 48 and current_arena is not None and ra_run_of(&current_arena.heap, record) != run:
        return 0
    return record


def record_of(ObjectRef ref):
    """Offset of the record that makes an object, or 0 for a put."""
    cdef ra_entry *e = ra_entry_at(&ref.arena.heap, ref.at())
    if RA_FLAGS(atomic_load_u64(&e.word)) & RA_EF_IN_RECORD:
        return ra_record_of(ref.entry, e.index)
    return 0


def record_seq(Arena arena, u64 record):
    """The number that distinguishes a record from an earlier one in its place."""
    return ra_record_at(&arena.heap, record).seq


def is_unfinished(Arena arena, u64 record, u64 seq):
    """Whether this very record, which may be gone by now, is still to run, or runs."""
    cdef ra_heap *h = arena.open()
    cdef u32 state
    if not ra_block_check(h, record, RA_CHUNK_REC) or ra_record_at(h, record).seq != seq:
        return False
    state = RA_R_STATE(atomic_load_u64(&ra_record_at(h, record).word))
    return RA_REC_WAITING <= state <= RA_REC_RUNNING


def is_actor_call(Arena arena, u64 record):
    """Whether a record is a call of an actor's method."""
    return ra_record_at(&arena.heap, record).kind == RA_KIND_ACTOR_CALL


def task_id(Arena arena, u64 record):
    """The 24 bytes of a task's id."""
    cdef ra_record *r = ra_record_at(&arena.heap, record)
    return (<u64>r.seq).to_bytes(8, "little") + arena.session[:12] + (<u32>r.job).to_bytes(4, "little")


cdef bytes read_raw(Arena arena, u64 entry):
    return decode_payload(arena, ra_entry_at(&arena.heap, entry).payload, RA_F_RAW, 0)


def read_class_spec(Arena arena, u32 cls):
    """Description of a scheduling class that this process uses or serves."""
    return read_raw(arena, class_at(arena.open(), cls).spec)


def class_seq(Arena arena, u32 cls):
    """The number that distinguishes such a class from an earlier one in its place."""
    return ra_entry_at(arena.open(), class_at(&arena.heap, cls).spec).seq


def read_actor_spec(Arena arena, u64 actor):
    """Description of an actor."""
    return read_raw(arena, actor_at(arena.open(), actor).spec)


def actor_restarts(Arena arena, u64 actor):
    """How often an actor was restarted."""
    return atomic_load_u32(&actor_at(arena.open(), actor).restarts)


add_counts(RA_LIVE)
ra_count_type(ActorCore)
ra_count_type(Template)
ra_count_type(StreamCursor)
