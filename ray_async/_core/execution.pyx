"""Executing: a worker's side of a record's life, from the queue to its completed returns."""

from cpython.exc cimport PyErr_CheckSignals
from cpython.object cimport PyObject_Call

from ray_async._core.arena cimport Arena, add_counts
from ray_async._core.codec cimport ArgRef, decode_payload, load_failed
from ray_async._core.layout cimport *
from ray_async._core.object_ref cimport new_ref
from ray_async._core.postponed cimport PostponedCalls, hand_back_when_dead
from ray_async._core.steps cimport PlainCall
from ray_async._core.store cimport complete_with
from ray_async._core.stream cimport Stream, fail_returns, fail_returns_anyway, fail_returns_reserved
from ray_async._core.submission cimport set_parent
from ray_async._core.task_ring cimport TaskRing
from ray_async._core.os_process import set_title
from ray_async._core.store import read

cdef enum:
    SPIN = 20000                # ns that a worker looks for the next task before it sleeps
    TIMED_OUT = 1               # of ra_futex_wait()
    FEW_DEFINITIONS = 64
    MOST_STARTS = 10000         # starts that are remembered of calls that may have ended elsewhere

LEFT, EXIT = 1, 2               # why serve() returned


cdef class Executor:
    """Takes records from queues and completes them.

    Args:
        arena: the session's shared memory, joined as a worker.
        load: ``load(payload: bytes, key) -> (callable, meta)`` for an exported definition seen for the first time.
        failed: ``failed(executor, record, callable, meta, error) -> bytes | None``: the payload of the error, or None when the task
            is to be run again.
        withdrawn: ``withdrawn(record) -> BaseException``: why the result of a call does not count.
        unstorable: ``unstorable(reason) -> bytes``: what is stored for an error that cannot be, for want of room.
    """

    cdef Arena arena
    cdef dict functions         # number of the exported entry → (callable, meta)
    cdef dict places            # number of the exported entry → its offset
    cdef Py_ssize_t look_at     # how many there may be before a look which ones are gone
    cdef object load, failed, withdrawn, unstorable
    cdef readonly u64 record    # what runs, in a worker that runs one task at a time
    cdef public u64 exiting     # the call that has asked for its actor's end
    cdef public bint ordered    # calls of one caller of the actor start in the order in which they were made
    cdef public bint sync_actor # calls of an actor that are cancelled give no result, and are not interrupted
    cdef public bint in_user_code
    cdef public object meta
    cdef readonly u64 done
    cdef object titled          # what the process is named after
    cdef u64 max_calls          # how often one process may run that; 0: no limit
    cdef PostponedCalls postponed  # of an actor with threads
    cdef public object trace        # a list of (name, start ns, end ns, task number) while times are recorded, else None
    cdef public object flush_trace  # takes that list when the worker has nothing to do
    cdef public TaskRing ring       # where tasks that succeed are noted; None: nowhere
    cdef u64 started                # when what runs was begun, where ends are noted
    cdef dict starts                # the same of calls that run at the same time, by their numbers
    cdef public object before_rest  # called when the worker has nothing to do, unless None

    def __init__(self, Arena arena, load, failed, withdrawn=None, unstorable=None):
        self.arena = arena
        self.functions, self.places, self.look_at = {}, {}, FEW_DEFINITIONS
        self.starts = {}
        self.load, self.failed, self.withdrawn, self.unstorable = load, failed, withdrawn, unstorable

    # -- the parts --

    def pop(self, u64 queue):
        """Claim the oldest record of a queue; 0 when it is empty, or an actor's who is dead."""
        cdef ra_queue *q = queue_at(&self.arena.heap, queue)
        cdef u64 record = ra_queue_pop(&self.arena.heap, q)
        return 0 if record and q.actor and hand_back_when_dead(self.arena, q.actor, record) else record

    cdef tuple definition(self, u64 fn):
        """The callable behind an exported entry, and what is known of it."""
        cdef ra_heap *h = &self.arena.heap
        cdef ra_entry *e = ra_entry_at(h, fn)
        found = self.functions.get(e.seq)
        if found is None:
            found = self.load(decode_payload(self.arena, e.payload, RA_F_BYTES, 0), e.seq)
            if len(self.functions) >= self.look_at:
                self.forget_ended()
            self.functions[e.seq] = found
            self.places[e.seq] = fn
        return found

    cdef forget_ended(self):
        """Drop the definitions whose exports are gone: nobody can call them any more."""
        cdef ra_heap *h = &self.arena.heap
        cdef u64 place
        cdef bint is_there
        for seq, at in list(self.places.items()):
            place = at
            is_there = ra_block_check(h, place, RA_CHUNK_OBJ) and atomic_load_u64(&ra_entry_at(h, place).word) != 0
            if not is_there or ra_entry_at(h, place).seq != seq:
                del self.places[seq], self.functions[seq]
        self.look_at = max(<Py_ssize_t>FEW_DEFINITIONS, 2 * len(self.functions))

    def prepare(self, u64 record):
        """The definition of a record: ``(callable, meta)``."""
        if self.ring is not None:
            self.note_start(record)
        return self.definition(ra_record_at(&self.arena.heap, record).fn)

    def arguments(self, u64 record):
        """Decoded arguments ``(args, kwargs)``. References that are arguments are still `ArgRef`s."""
        cdef ra_heap *h = &self.arena.heap
        cdef ra_record *r = ra_record_at(h, record)
        if r.args == 0:
            return (), {}
        cdef u64 word = atomic_load_u64(&ra_payload_at(h, r.args).word)
        cdef u32 format = <u32>(word >> 8 & 0xff)
        if format == RA_F_FAST:
            return decode_payload(self.arena, r.args, format, 0), {}
        # Views of the arguments keep the first return's entry, and with it the record, where the arguments lie.
        try:
            return decode_payload(self.arena, r.args, format, 0 if r.n_returns == 0 else record + sizeof(ra_record))
        except Exception as error:
            raise load_failed(self.arena, r.args, error, None) from error

    def direct_refs(self, u64 record):
        """References that are arguments themselves."""
        cdef ra_heap *h = &self.arena.heap
        cdef ra_record *r = ra_record_at(h, record)
        if r.args == 0 or not ra_inside(h, r.args, sizeof(ra_payload)):
            return []
        cdef ra_payload *p = ra_payload_at(h, r.args)
        cdef u64 n = atomic_load_u64(&p.word) >> 16 & 0xffff
        cdef u64 *refs = <u64 *>(p + 1)
        return [new_ref(self.arena, refs[i]) for i in range(min(n, ra_payload_refs(h, r.args))) if ra_entry_check(h, refs[i])]

    def resolve(self, tuple args, dict kwargs):
        """Replace references that are arguments by their values."""
        try:
            args = tuple([read(self.arena, (<ArgRef>v).ref) if type(v) is ArgRef else v for v in args])
            if kwargs:
                kwargs = {k: read(self.arena, (<ArgRef>v).ref) if type(v) is ArgRef else v for k, v in kwargs.items()}
        except Exception as error:
            error.__dict__["_from_argument"] = args, kwargs
            raise
        return args, kwargs

    def options(self, u64 record):
        """What the caller set of the rare options, as a dict."""
        cdef ra_heap *h = &self.arena.heap
        cdef ra_record *r = ra_record_at(h, record)
        if r.opts == 0:
            return {}
        return decode_payload(self.arena, ra_entry_at(h, r.opts).payload, RA_FORMAT(atomic_load_u64(&ra_entry_at(h, r.opts).word)), 0)

    def facts(self, u64 record):
        """What a record says of itself."""
        cdef ra_record *r = ra_record_at(&self.arena.heap, record)
        cdef u64 word = atomic_load_u64(&r.word)
        return {
            "seq": r.seq, "kind": r.kind, "n_returns": r.n_returns, "stream": bool(r.kflags & RA_KF_STREAM),
            "retry_errors": bool(r.kflags & RA_KF_RETRY_ERRORS), "retries": atomic_load_i32(&r.retries),
            "attempt": RA_R_ATTEMPT(word), "cancelled": bool(RA_R_FLAGS(word) & RA_RF_CANCEL),
            "forced": bool(RA_R_FLAGS(word) & RA_RF_FORCE), "left": bool(RA_R_FLAGS(word) & RA_RF_LEFT),
            "owner": r.owner, "job": r.job,
            "backpressure": r.backpressure, "parent_seq": r.parent_seq, "actor": r.actor,
        }

    cdef bint is_plain(self, u64 record):
        """Whether a record has one return, no options, no references as arguments, and no flags."""
        cdef ra_heap *h = &self.arena.heap
        cdef ra_record *r = ra_record_at(h, record)
        if r.opts or r.n_returns != 1 or RA_R_FLAGS(atomic_load_u64(&r.word)) or self.trace is not None:
            return False
        return r.args == 0 or atomic_load_u64(&ra_payload_at(h, r.args).word) >> 16 & 0xffff == 0

    def plain_call(self, u64 record):
        """The `PlainCall` of a record that is plain and of a plain coroutine function, else None."""
        if not self.is_plain(record):
            return None
        function, meta = self.prepare(record)
        if not meta.plain_coroutine:
            return None
        args, kwargs = self.arguments(record)
        return PlainCall(self, record, function, meta, args, kwargs)

    def end_if_forked(self, error=None):
        """End this process if it is a forked child that has come back from user code; ``error`` is what that raised."""
        self.arena.end_if_forked(error)

    def is_cancelled(self, u64 record):
        """Whether someone asked for the cancellation of a running record."""
        return bool(RA_R_FLAGS(atomic_load_u64(&ra_record_at(&self.arena.heap, record).word)) & RA_RF_CANCEL)

    def is_referred_to(self, u64 record):
        """Whether anything refers to a result of a record, whose results are not complete yet."""
        cdef ra_heap *h = &self.arena.heap
        cdef u64 first = record + sizeof(ra_record)
        cdef u32 i
        for i in range(ra_record_returns(h, record)):
            if atomic_load_u32(&ra_entry_at(h, first + i * sizeof(ra_entry)).refs):
                return True
        return False

    def cancel_delivered(self, u64 record):
        """Note that what runs gets its cancel now: calls that it makes from now on are not cancelled with it."""
        cdef ra_heap *h = &self.arena.heap
        cdef ra_record *r = ra_record_at(h, record)
        cdef u64 word = atomic_load_u64(&r.word)
        while RA_R_STATE(word) == RA_REC_RUNNING and RA_R_RUNNER(word) == h.slot and RA_R_FLAGS(word) & RA_RF_CANCEL:
            if atomic_cas_u64(&r.word, &word, word | RA_R_WORD(0, RA_RF_DELIVERED, 0, 0, 0)):
                return

    def cancel_not_delivered(self, u64 record):
        """Take back `cancel_delivered`: the exception has not come through."""
        cdef ra_record *r = ra_record_at(&self.arena.heap, record)
        cdef u64 word = atomic_load_u64(&r.word)
        while RA_R_STATE(word) == RA_REC_RUNNING:
            if atomic_cas_u64(&r.word, &word, word & ~(<u64>RA_RF_DELIVERED << 8)):
                return

    cpdef bint is_overtaken(self, u64 record) except -1:
        """Whether a running record is cancelled, and what runs did not get that: then its outcome does not count."""
        return RA_R_FLAGS(atomic_load_u64(&ra_record_at(&self.arena.heap, record).word)) & (RA_RF_CANCEL | RA_RF_DELIVERED) == RA_RF_CANCEL

    cpdef int check(self, u64 record) except -1:
        """Look whether the result of a running record counts.

        A cancel counts from the moment at which it was asked for: what the canceller did next may be why there is a result.
        One that the call got, and has got over, does not, unless it is an actor's that is not interrupted.

        Raises:
            SystemExit: the call has asked for its actor's end, and went on.
            KeyboardInterrupt: it is cancelled.
        """
        cdef u32 flags = RA_R_FLAGS(atomic_load_u64(&ra_record_at(&self.arena.heap, record).word))
        if self.exiting == record or flags & RA_RF_CANCEL and (self.sync_actor or not flags & RA_RF_DELIVERED):
            raise KeyboardInterrupt if self.withdrawn is None else self.withdrawn(record)
        return 0

    def succeed(self, u64 record, result):
        """Complete the returns with a result and end the record.

        Raises:
            ValueError, TypeError: the result does not have as many items as the call has returns.
            SystemExit: the call has asked for its actor's end, and went on.
            KeyboardInterrupt: it is cancelled, and the result does not count.
            Exception: the result cannot be serialized. The record is as before.
        """
        cdef ra_record *r = ra_record_at(&self.arena.heap, record)
        cdef u64 first = record + sizeof(ra_record)
        cdef u32 i
        if self.arena.forked:
            self.arena.end_if_forked()
        self.check(record)
        if r.n_returns == 1:
            complete_with(self.arena, first, RA_VALUE, result)
        elif r.n_returns > 1:
            if not (hasattr(type(result), "__len__") and hasattr(type(result), "__iter__")):
                raise TypeError(
                    f"the task has num_returns={r.n_returns} and must return as many values in a tuple, a list or anything "
                    f"else that has a length and iterates, not {type(result).__name__}"
                )
            items = list(result)
            if len(items) != r.n_returns:
                raise ValueError(f"the task has num_returns={r.n_returns}, and returned {len(items)} values")
            for i in range(r.n_returns):
                complete_with(self.arena, first + i * sizeof(ra_entry), RA_VALUE, items[i])
        self.end(record)

    def complete_item(self, u64 record, u32 index, result):
        """Complete one of several returns without ending the record; one that is complete stays as it is."""
        cdef ra_record *r = ra_record_at(&self.arena.heap, record)
        self.arena.end_if_forked()
        if index >= r.n_returns:
            raise IndexError(f"the call has {r.n_returns} returns")
        complete_with(self.arena, record + sizeof(ra_record) + index * sizeof(ra_entry), RA_VALUE, result)

    def complete(self, u64 record, result):
        """Complete the first return without ending the record."""
        self.arena.end_if_forked()
        complete_with(self.arena, record + sizeof(ra_record), RA_VALUE, result)

    def fail(self, u64 record, bytes error):
        """Complete all returns that are pending with an error and end the record; a stream ends with it."""
        self.arena.end_if_forked()
        if self.unstorable is None:
            fail_returns_anyway(self.arena, record, error)
        else:
            try:
                fail_returns(self.arena, record, error)
            except Exception as reason:
                self.fail_without_room(record, error, reason)
        self.end_record(record)

    cdef fail_without_room(self, u64 record, bytes error, reason):
        """Complete the returns of a record with an error for which the store has no room: of what is kept for errors."""
        try:
            fail_returns_reserved(self.arena, record, error)
        except Exception:
            fail_returns_anyway(self.arena, record, self.unstorable(reason))

    def finish(self, u64 record):
        """End a record whose returns are complete."""
        self.arena.end_if_forked()
        self.end(record)

    cdef int end(self, u64 record) except -1:
        """End a record that has succeeded."""
        if self.ring is None:
            self.end_record(record)
            return 0
        try:
            self.note_end(record)
        finally:
            self.end_record(record)
        return 0

    cdef note_start(self, u64 record):
        """Remember when a call that runs beside others was begun: the first time that anybody prepares it."""
        seq = ra_record_at(&self.arena.heap, record).seq
        if seq not in self.starts:
            if len(self.starts) >= MOST_STARTS:
                self.starts.clear()
            self.starts[seq] = ra_now_ns()

    cdef note_end(self, u64 record):
        """Write a row of the ring, before the record may be another one's."""
        cdef ra_heap *h = &self.arena.heap
        cdef ra_record *r = ra_record_at(h, record)
        cdef u64 started = self.started if self.record == record else 0
        if self.starts:
            noted = self.starts.pop(r.seq, 0)
            started = started or <u64>noted
        if self.record == record:
            name = getattr(self.meta, "name", None)
        else:
            _, meta = self.definition(r.fn)
            name = getattr(meta, "name", None)
        given = name
        if r.opts:
            options = self.options(record)
            if not options.get("enable_task_events", True):
                return
            given = options.get("name", name)
        self.ring.write(
            r.seq, r.actor, started, ra_now_ns(), r.job, r.kind, RA_R_ATTEMPT(atomic_load_u64(&r.word)), h.slot, name, given
        )

    cdef void end_record(self, u64 record) noexcept:
        cdef ra_heap *h = &self.arena.heap
        cdef ra_proc *p = proc_at(h, h.slot)
        ra_record_finish(h, record, RA_REC_DONE, ra_keep_args(h, record))
        atomic_add_u64(&p.done, 1)
        self.done += 1

    def requeue(self, u64 record, int retries):
        """Put a running record back into its queue, with so many retries left."""
        cdef ra_heap *h = &self.arena.heap
        cdef ra_record *r = ra_record_at(h, record)
        cdef u64 word = atomic_load_u64(&r.word)
        atomic_store_i32(&r.retries, retries)
        while not ra_queue_record(
            h, record, &word, RA_R_WORD(RA_REC_QUEUED, RA_R_FLAGS(word), RA_R_ATTEMPT(word) + 1, RA_R_GEN(word), 0)
        ):
            pass

    def stream(self, u64 record):
        """The items of a streaming record."""
        return Stream(self.arena, record)

    def end_stream(self, u64 record):
        """End a streaming record, all of whose items are there.

        Raises:
            KeyboardInterrupt: it is cancelled.
        """
        self.arena.end_if_forked()
        if self.is_cancelled(record):
            raise KeyboardInterrupt
        Stream(self.arena, record).end(None)
        self.end(record)

    # -- one task at a time --

    cdef int run(self, u64 record) except -1:
        """Execute one record on this thread, whatever becomes of it."""
        cdef ra_heap *h = &self.arena.heap
        cdef ra_proc *p = proc_at(h, h.slot)
        cdef ra_record *r = ra_record_at(h, record)
        cdef u64 started = 0
        function = None
        self.meta = None
        self.record = record
        if self.ring is not None:
            self.started = ra_now_ns()
        set_parent(record)
        atomic_store_u64(&p.current, record)
        try:
            function, self.meta = self.definition(r.fn)
            if self.meta is not self.titled:
                self.titled = self.meta
                self.max_calls = getattr(self.meta, "max_calls", 0)
                title = getattr(self.meta, "title", None)
                if title is not None:
                    set_title(title, self.meta.line)
            args, kwargs = self.arguments(record) if r.args == 0 or format_of(h, r.args) != RA_F_FAST else (
                decode_payload(self.arena, r.args, RA_F_FAST, 0), None
            )
            if r.args and atomic_load_u64(&ra_payload_at(h, r.args).word) >> 16 & 0xffff:
                args, kwargs = self.resolve(args, kwargs)
            if self.meta.special or r.opts or RA_R_FLAGS(atomic_load_u64(&r.word)) & RA_RF_CANCEL:
                self.meta.run(self, record, function, args, kwargs or {})
            else:
                self.in_user_code = True
                if self.trace is not None:
                    started = ra_now_ns()
                try:
                    result = PyObject_Call(function, args, kwargs) if kwargs else function(*args)
                finally:
                    self.in_user_code = False
                    if self.trace is not None:
                        self.trace.append((self.meta.name, started, ra_now_ns(), r.seq))
                args = kwargs = None
                self.succeed(record, result)
                result = None
        except BaseException as error:
            self.in_user_code = False
            self.arena.end_if_forked(error)
            payload = self.failed(self, record, function, self.meta, error)
            if payload is not None:
                self.fail(record, payload)
        finally:
            atomic_store_u64(&p.current, 0)
            self.record = 0
            set_parent(0)
        return 0

    def run_record(self, u64 record):
        """Execute a claimed record on this thread."""
        self.run(record)

    # -- the loop of a worker that runs one task at a time --

    def register(self, u64 queue, u32 waiter):
        """Enter a waiter among those whom producers of a queue wake. Returns its place."""
        cdef ra_queue *q = queue_at(&self.arena.heap, queue)
        cdef u32 i, expected, n
        for i in range(RA_QUEUE_WAITERS):
            expected = 0
            if atomic_cas_u32(&q.waiters[i], &expected, waiter + 1):
                n = atomic_load_u32(&q.n_waiters)
                while n < i + 1 and not atomic_cas_u32(&q.n_waiters, &n, i + 1):
                    pass
                return i
        raise RuntimeError(f"more than {RA_QUEUE_WAITERS} workers serve one scheduling class")

    def unregister(self, u64 queue, u32 waiter):
        """Leave a queue; wakes someone else if work is left in it."""
        cdef ra_queue *q = queue_at(&self.arena.heap, queue)
        cdef u32 i, expected
        for i in range(RA_QUEUE_WAITERS):
            expected = waiter + 1
            atomic_cas_u32(&q.waiters[i], &expected, 0)
        if ra_queue_length(&self.arena.heap, q):
            ra_queue_wake(&self.arena.heap, q)

    def serve(self, u64 queue, u64 lease):
        """Run records of a queue one after the other while the lease holds.

        Args:
            lease: the lease word, in state IDLE, that was given.

        Returns:
            LEFT when the lease is gone or given back, EXIT when the process is to end.
        """
        cdef ra_heap *h = &self.arena.heap
        cdef ra_proc *p = proc_at(h, h.slot)
        cdef ra_queue *q = queue_at(h, queue)
        cdef u32 waiter = p.waiter, flags
        cdef ra_waiter *w = ra_waiter_at(h, waiter)
        cdef bint actor = (lease & 0xff) == RA_LEASE_ACTOR
        cdef u64 busy = lease if actor else (lease & ~<u64>0xff) | RA_LEASE_BUSY
        cdef u64 expected, record, until, nap
        cdef bint idle = True, ran = False
        cdef int code
        cdef PostponedCalls postponed = PostponedCalls(self.arena, q.actor, self.ordered) if actor else None
        self.register(queue, waiter)
        try:
            while True:
                flags = atomic_load_u32(&p.flags)
                if flags & RA_PF_EXIT:
                    return EXIT
                if flags & RA_PF_REVOKE and not actor:
                    return LEFT
                if flags & RA_PF_ONE_TASK and not actor and ran:
                    atomic_and_u32(&p.flags, ~<u32>RA_PF_ONE_TASK)
                    return LEFT
                if idle:
                    expected = lease
                    if not actor and not atomic_cas_u64(&p.lease, &expected, busy):
                        return LEFT
                    atomic_store_u64(&p.idle_since, 0)
                    idle = False
                record = postponed.next() if actor else 0
                if record == 0:
                    record = ra_queue_pop(h, q)
                    if record and actor and not postponed.admit(record):
                        continue
                if record:
                    if actor and hand_back_when_dead(self.arena, q.actor, record):
                        return EXIT
                    self.run(record)
                    ran = True
                    PyErr_CheckSignals()
                    if self.max_calls and not actor and self.meta is not None and self.meta.used_up():
                        return EXIT
                    continue
                if atomic_load_u32(&q.overflowing):
                    ra_event(h, RA_EV_OVERFLOW, queue)
                until = ra_now_ns() + SPIN
                while ra_queue_length(h, q) == 0 and ra_now_ns() < until:
                    ra_relax()
                if ra_queue_length(h, q) or actor and postponed.stirred():
                    continue
                if self.trace:
                    self.flush_trace(self.trace)
                if self.before_rest is not None:
                    self.before_rest()
                atomic_store_u64(&p.idle_since, ra_now_ns())
                expected = busy
                if not actor and not atomic_cas_u64(&p.lease, &expected, lease):
                    return LEFT
                idle = True
                if atomic_load_u32(&q.doorbell) and atomic_exchange_u32(&q.doorbell, 0) and not actor:
                    ra_event(h, RA_EV_IDLE, h.slot)
                atomic_store_u32(&w.armed, 1)
                atomic_store_u32(&q.sleepers, 1)
                atomic_fence(memory_order_seq_cst)
                nap = RA_FIRST_NAP
                while ra_queue_length(h, q) == 0 and atomic_load_u32(&p.flags) & (RA_PF_EXIT | RA_PF_REVOKE) == 0 and (not postponed.stirred() if actor else atomic_load_u64(&p.lease) == lease):
                    with nogil:
                        code = ra_futex_wait(&w.armed, 1, nap)
                    PyErr_CheckSignals()
                    if code != TIMED_OUT:
                        break
                    nap = ra_next_nap(nap)
                atomic_store_u32(&w.armed, 0)
        finally:
            self.unregister(queue, waiter)

    def take(self, u64 queue):
        """Wait for a call of an actor that can run, in no order, and claim it; 0 when the process is to end. For one thread only."""
        cdef ra_heap *h = &self.arena.heap
        cdef ra_proc *p = proc_at(h, h.slot)
        cdef ra_queue *q = queue_at(h, queue)
        cdef ra_waiter *w = ra_waiter_at(h, p.waiter)
        cdef u64 record, nap = RA_FIRST_NAP
        if self.postponed is None:
            self.postponed = PostponedCalls(self.arena, q.actor, False)
        self.register(queue, p.waiter)
        try:
            while True:
                if atomic_load_u32(&p.flags) & RA_PF_EXIT:
                    return 0
                record = self.postponed.next()
                if record == 0:
                    record = ra_queue_pop(h, q)
                    if record and not self.postponed.admit(record):
                        continue
                if record:
                    return 0 if hand_back_when_dead(self.arena, q.actor, record) else record
                self.wants_refill(queue)
                if self.before_rest is not None:
                    self.before_rest()
                atomic_store_u32(&w.armed, 1)
                if not self.arm(queue) and not self.postponed.stirred() and not atomic_load_u32(&p.flags) & RA_PF_EXIT:
                    with nogil:
                        ra_futex_wait(&w.armed, 1, nap)
                    nap = ra_next_nap(nap)
                atomic_store_u32(&w.armed, 0)
                PyErr_CheckSignals()
        finally:
            self.unregister(queue, p.waiter)

    def wants_refill(self, u64 queue):
        """Have the node move overflowed records into the ring, if there are some."""
        if atomic_load_u32(&queue_at(&self.arena.heap, queue).overflowing):
            ra_event(&self.arena.heap, RA_EV_OVERFLOW, queue)

    def say_idle(self, u64 queue):
        """Notify the node that the queue was found empty, if it wants to know."""
        cdef ra_heap *h = &self.arena.heap
        if atomic_load_u32(&queue_at(h, queue).doorbell) and atomic_exchange_u32(&queue_at(h, queue).doorbell, 0):
            ra_event(h, RA_EV_IDLE, h.slot)

    # -- queues and records by what they belong to --

    def enter(self, u64 lease):
        """Begin to serve the class of a lease: its queue, which stays until `leave`; 0 when the lease is gone already."""
        cdef ra_heap *h = &self.arena.heap
        cdef ra_proc *p = proc_at(h, h.slot)
        cdef u64 cls = lease >> 32, queue = class_at(h, <u32>cls).queue if cls < RA_MAX_CLASSES else 0
        # First the note, then the look: the node takes a lease back before it looks who still serves the class.
        atomic_store_u64(&p.serving, queue)
        if queue and atomic_load_u64(&p.lease) == lease:
            return queue
        atomic_store_u64(&p.serving, 0)
        return 0

    def leave(self):
        """The queue of the class that was served is not looked at any more."""
        atomic_store_u64(&proc_at(&self.arena.heap, self.arena.heap.slot).serving, 0)

    def queue_of_actor(self, u64 offset):
        """The queue of an actor."""
        return actor_at(&self.arena.heap, offset).queue

    def creation_of_actor(self, u64 offset):
        """The record of an actor's ``__init__``."""
        return actor_at(&self.arena.heap, offset).creation

    def arm(self, u64 queue):
        """Declare the main waiter asleep on a queue; returns whether there is work after all."""
        cdef ra_heap *h = &self.arena.heap
        cdef ra_queue *q = queue_at(h, queue)
        atomic_store_u32(&q.sleepers, 1)
        atomic_fence(memory_order_seq_cst)
        return ra_queue_length(h, q) != 0


cdef inline u32 format_of(ra_heap *h, u64 payload) noexcept nogil:
    return <u32>(atomic_load_u64(&ra_payload_at(h, payload).word) >> 8 & 0xff)


add_counts(RA_LIVE)
