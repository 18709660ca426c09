"""Cancelling: before the start it is the canceller who ends the task, after it the worker.

The canceller flags records in shared memory, those of children too, before it notifies anybody. So a cancel has happened
when it returns: nothing that its caller does next comes before it.
"""

from ray_async._core.arena cimport Arena, add_counts
from ray_async._core.layout cimport *
from ray_async._core.stream cimport fail_returns_anyway

OVER, DROPPED, ASKED = 0, 1, 2

cdef struct Unfinished:
    ra_heap *heap
    void *found    # a list


cdef void visit_descendant(void *context, u64 offset) noexcept nogil:
    cdef Unfinished *u = <Unfinished *>context
    cdef ra_record *r = ra_record_at(u.heap, offset)
    cdef u64 word = atomic_load_u64(&r.word)
    if RA_R_STATE(word) < RA_REC_WAITING or RA_R_STATE(word) > RA_REC_RUNNING or r.parent == 0 and r.scope == 0:
        return
    # Actors outlive what created them, and detached streams what has started them.
    if r.kind == RA_KIND_ACTOR_INIT or r.kflags & RA_KF_DETACHED:
        return
    cdef u64 seq = r.seq, parent = r.parent, parent_seq = r.parent_seq
    cdef u32 scope = r.scope
    atomic_fence(memory_order_seq_cst)
    # Another record may have taken the place meanwhile: its number with this one's parent would make it a child.
    if (atomic_load_u64(&r.word) ^ word) & <u64>0xffff00000000:
        return
    with gil:
        (<list>u.found).append((offset, seq, parent, parent_seq, scope))


cdef list descendants(ra_heap *h):
    """Unfinished records that a task, or a cancel scope, has submitted: ``(offset, seq, parent, parent_seq, scope)``."""
    cdef Unfinished u
    cdef list found = []
    u.heap = h
    u.found = <void *>found
    ra_each_record(h, visit_descendant, &u)
    return found


cdef int mark(ra_heap *h, u64 record, u64 seq, u32 flags, u64 *before) except -1:
    """Flag a record; one that has not begun becomes this process's.

    Args:
        before: takes the word that the record had.

    Returns:
        OVER: it had ended, and nothing was done; DROPPED: it had not begun, and is to be failed by the caller; ASKED: it runs.
    """
    cdef ra_record *r = ra_record_at(h, record)
    cdef u64 word = atomic_load_u64(&r.word)
    cdef u32 state, n = ra_record_returns(h, record)
    while True:
        state = RA_R_STATE(word)
        before[0] = word
        if state >= RA_REC_DONE or state < RA_REC_WAITING or r.seq != seq:
            return 0
        if state == RA_REC_RUNNING:
            # All that is left to do of a task with its results is to say that it has ended.
            if n and RA_STATE(atomic_load_u64(&r.returns[n - 1].word)) != RA_PENDING:
                return 0
            if atomic_cas_u64(&r.word, &word, word | <u64>flags << 8):
                ra_hint_runner(h, word)
                return 2
        # Claimed as its runner, so that nobody starts or cancels it while its references are completed.
        elif atomic_cas_u64(
            &r.word, &word, RA_R_WORD(RA_REC_RUNNING, RA_R_FLAGS(word) | flags, RA_R_ATTEMPT(word), RA_R_GEN(word), h.slot)
        ):
            return 1


cdef int drop(Arena arena, u64 record, bytes error) except -1:
    """Fail a record that was claimed before it began."""
    cdef ra_heap *h = &arena.heap
    cdef ra_record *r = ra_record_at(h, record)
    cdef u64 queue = r.queue
    cdef bint call = r.kind == RA_KIND_ACTOR_CALL
    fail_returns_anyway(arena, record, error)
    ra_record_finish(h, record, RA_REC_CANCELLED, 0)
    if call and ra_queue_check(h, queue):
        ra_queue_wake(h, queue_at(h, queue))  # calls that the actor keeps behind this one go on
    return 0


cdef class Sweep:
    """A cancel of all that some tasks, or scopes, have submitted.

    A task may submit more until it is flagged. So the looks go on until one finds no more tasks that run; what a flagged
    task submits after that is flagged by itself.
    """

    cdef Arena arena
    cdef u32 force
    cdef set marked             # (offset, seq) of what is flagged
    cdef list dropped, asked
    cdef object scopes
    cdef set seen               # scopes of which something is unfinished

    def __cinit__(self, Arena arena, bint force, set marked, scopes):
        self.arena, self.marked, self.scopes = arena, marked, scopes
        self.force = RA_RF_FORCE if force else 0
        self.dropped, self.asked, self.seen = [], [], set()

    cdef int run(self) except -1:
        while self.look():
            pass
        return 0

    cdef bint look(self) except -1:
        """Flag whom a look finds. Returns whether some of them run."""
        cdef dict children = {}
        cdef list todo = list(self.marked)
        cdef bint running = False
        for row in descendants(&self.arena.heap):
            key = (row[0], row[1])
            if row[4] in self.scopes:
                self.seen.add(row[4])
                if key not in self.marked:
                    running |= self.flag(key)
                    todo.append(key)
            if row[2]:
                children.setdefault((row[2], row[3]), []).append(key)
        while todo:
            for key in children.pop(todo.pop(), ()):
                if key not in self.marked:
                    running |= self.flag(key)
                todo.append(key)
        return running

    cdef bint flag(self, tuple key) except -1:
        """Flag one record. Returns whether it runs, and was not flagged before."""
        cdef ra_heap *h = &self.arena.heap
        cdef u64 record = key[0], word = 0
        cdef u32 force = self.force if ra_record_at(h, record).kind == RA_KIND_TASK else 0
        cdef int outcome = mark(h, record, key[1], RA_RF_CANCEL | RA_RF_CHILDREN | force, &word)
        self.marked.add(key)
        if outcome == 1:
            self.dropped.append(record)
        # Once is enough: a second interrupt would hit the task's own cleaning up.
        if outcome != 2 or RA_R_FLAGS(word) & RA_RF_CANCEL and RA_R_FLAGS(word) & force == force:
            return False
        self.asked.append(record)
        return True

    cdef int finish(self, make_error) except -1:
        """End what has not begun, and have the node interrupt what runs."""
        for record in self.dropped:
            drop(self.arena, record, make_error(record))
        for record in self.asked:
            ra_event(&self.arena.heap, RA_EV_CANCEL, <u64>record)
        return 0


def cancel(Arena arena, u64 record, bint force, make_error, bint recursive=False, u64 seq=0):
    """Cancel a record.

    Args:
        force: the worker of a task is to be killed.
        make_error: ``make_error(record) -> bytes``: what the references of one that has not begun hold from now on.
        recursive: cancel what it has submitted, too, and what that has.
        seq: number of the record, for a caller who has no reference to it: another one may have its place by now. 0: any.

    Returns:
        OVER: it had ended, and nothing was done; DROPPED: it had not begun, and its references hold the error now;
        ASKED: it runs, and its worker is notified.
    """
    cdef ra_heap *h = arena.open()
    cdef ra_record *r = ra_record_at(h, record)
    cdef u64 word = 0
    if seq == 0:
        seq = r.seq
    cdef u32 flags = RA_RF_CANCEL | (RA_RF_FORCE if force else 0) | (RA_RF_CHILDREN if recursive else 0)
    cdef int outcome = mark(h, record, seq, flags, &word)
    if outcome == 1:
        drop(arena, record, make_error(record))
    if outcome == 2:
        if recursive and RA_R_FLAGS(word) & RA_RF_PARENT:
            carry_on(arena, record, seq, force, make_error)
        ra_event(h, RA_EV_CANCEL, record)
    return outcome


def carry_on(Arena arena, u64 record, u64 seq, bint force, make_error):
    """Cancel what a flagged record has submitted, and what that has."""
    cdef Sweep sweep = Sweep(arena, force, {(record, seq)}, ())
    arena.open()
    sweep.run()
    sweep.finish(make_error)


def cancel_scopes(Arena arena, scopes, make_error):
    """Cancel everything that was submitted in scopes, whoever did it. Returns those scopes that had something unfinished."""
    cdef Sweep sweep = Sweep(arena, False, set(), scopes)
    arena.open()
    sweep.run()
    sweep.finish(make_error)
    return sweep.seen


add_counts(RA_LIVE)
