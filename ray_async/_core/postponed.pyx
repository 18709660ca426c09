"""Calls of an actor whose arguments are not there yet, set aside so that other callers' calls go on.

A call that is set aside is in state QUEUED without a cell in the queue: it can be cancelled as any queued one, the node
fails it when the actor ends, and the actor's next process finds it by its state. Only what happens in between, a claim, is
this process's.
"""

from collections import deque

from ray_async._core.arena cimport Arena
from ray_async._core.layout cimport *

cdef struct Search:
    ra_heap *heap
    u64 actor
    void *found  # a list


cdef void visit_queued(void *context, u64 offset) noexcept nogil:
    cdef Search *s = <Search *>context
    cdef ra_record *r = ra_record_at(s.heap, offset)
    cdef u64 word = atomic_load_u64(&r.word)
    if r.actor != s.actor or r.kind != RA_KIND_ACTOR_CALL or RA_R_STATE(word) != RA_REC_QUEUED:
        return
    with gil:
        (<list>s.found).append((r.seq, r.owner, offset, RA_R_GEN(word)))


cdef bint hand_back_when_dead(Arena arena, u64 actor, u64 record) except -1:
    """Whether the actor is dead; then a claimed record goes back, for the node to fail.

    Whoever knows that the actor is dead has seen its state change before, so none of their calls runs.
    """
    cdef ra_heap *h = &arena.heap
    cdef u64 word
    if atomic_load_u32(&actor_at(h, actor).state) != RA_ACTOR_DEAD:
        return False
    word = atomic_load_u64(&ra_record_at(h, record).word)
    while not ra_queue_record(
        h, record, &word, RA_R_WORD(RA_REC_QUEUED, RA_R_FLAGS(word), RA_R_ATTEMPT(word), RA_R_GEN(word), 0)
    ):
        pass
    ra_event(h, RA_EV_ACTOR_DRAIN, actor)
    return True


cdef class PostponedCalls:
    """Lines of calls that wait for arguments.

    Args:
        arena: the session's shared memory, joined as a worker.
        actor: offset of the actor.
        ordered: calls of one caller keep their order: there is a line for each caller, and only its first call can run.
            Otherwise each call waits for itself.
    """

    def __init__(self, Arena arena, u64 actor, bint ordered):
        self.arena, self.actor, self.ordered = arena, actor, ordered
        self.waiter = proc_at(&arena.heap, arena.heap.slot).waiter
        self.lines = {}  # caller (or record) → deque of (record, generation)
        self.kept = set()
        self.again = False
        if atomic_load_u32(&actor_at(&arena.heap, actor).restarts):
            self.adopt()

    def adopt(self):
        """Take over, in order, what is queued at a restarted actor: what its process before had set aside or not finished."""
        cdef Search s
        cdef list found = []
        s.heap, s.actor, s.found = &self.arena.heap, self.actor, <void *>found
        ra_each_record(s.heap, visit_queued, &s)
        for _, owner, record, gen in sorted(found):
            self.lines.setdefault(owner if self.ordered else record, deque()).append((record, gen))
            self.kept.add((record, gen))
        self.again = True

    cdef bint admit(self, u64 record) except -1:
        """Whether a record that was just claimed runs now; otherwise it is set aside."""
        cdef ra_heap *h = &self.arena.heap
        cdef ra_record *r = ra_record_at(h, record)
        cdef u64 word = atomic_load_u64(&r.word)
        cdef u32 gen = RA_R_GEN(word)
        if not self.lines and self.ready(record):
            return True
        # A call that is run again had its turn already, and what waits may wait for its result.
        if RA_R_ATTEMPT(word) and self.ready(record):
            return True
        key = r.owner if self.ordered else record
        line = self.lines.get(key)
        if line is None and self.ready(record):
            return True
        if not self.unclaim(record):
            return True  # it is cancelled: running it ends it
        if (record, gen) not in self.kept:
            self.kept.add((record, gen))
            if line is None:
                self.lines[key] = deque([(record, gen)])
            else:
                line.append((record, gen))
        return False

    cdef u64 next(self) except? 0xffffffffffffffff:
        """Claim a call that was set aside and can run now; 0 when there is none."""
        cdef u64 record
        cdef ra_waiter *w
        if not self.lines or not (self.again or self.stirred()):
            return 0
        self.again = False
        w = ra_waiter_at(&self.arena.heap, self.waiter)
        # Before the looks below: what completes after them counts down again.
        atomic_store_u32(&w.rescan, 0)
        atomic_store_u32(&w.multi, 0)
        atomic_store_i32(&w.need, 1)
        for key, line in list(self.lines.items()):
            record = 0
            while line and record == 0:
                if not self.claim(line[0][0], line[0][1]):
                    self.kept.discard(line.popleft())  # cancelled, or run by way of the queue
                    continue
                record = line[0][0]
            if not line:
                del self.lines[key]
                continue
            if self.ready(record) or not self.unclaim(record):
                self.kept.discard(line.popleft())
                if not line:
                    del self.lines[key]
                self.again = True
                return record
        return 0

    cdef bint stirred(self) except -1:
        """Whether an argument has come since the last look, or the first call of a line was cancelled."""
        cdef ra_heap *h = &self.arena.heap
        cdef ra_waiter *w
        cdef u64 record, word
        if not self.lines:
            return False
        w = ra_waiter_at(h, self.waiter)
        if atomic_load_i32(&w.need) <= 0 or atomic_load_u32(&w.rescan):
            self.again = True
        for line in self.lines.values():
            record = line[0][0]
            word = atomic_load_u64(&ra_record_at(h, record).word) if ra_block_check(h, record, RA_CHUNK_REC) else 0
            if RA_R_STATE(word) != RA_REC_QUEUED or RA_R_GEN(word) != <u32>line[0][1]:
                self.again = True
        return self.again

    cdef bint ready(self, u64 record) noexcept:
        """Whether the arguments of a claimed record exist; if not, the first that is missing is watched."""
        cdef ra_heap *h = &self.arena.heap
        cdef ra_record *r = ra_record_at(h, record)
        cdef ra_payload *p
        cdef u64 *refs
        cdef u64 i, n
        if r.args == 0:
            return True
        p = ra_payload_at(h, r.args)
        n = min(atomic_load_u64(&p.word) >> 16 & 0xffff, <u64>p.n_refs)
        refs = <u64 *>(p + 1)
        for i in range(n):
            if RA_STATE(atomic_load_u64(&ra_entry_at(h, refs[i]).word)) == RA_PENDING and ra_watch(h, refs[i], self.waiter):
                return False
        return True

    cdef bint claim(self, u64 record, u32 gen) noexcept:
        """QUEUED → RUNNING by us, of a record that may be gone by now."""
        cdef ra_heap *h = &self.arena.heap
        cdef ra_record *r
        cdef u64 word
        if not ra_block_check(h, record, RA_CHUNK_REC):
            return False
        r = ra_record_at(h, record)
        word = atomic_load_u64(&r.word)
        while RA_R_STATE(word) == RA_REC_QUEUED and RA_R_GEN(word) == gen:
            if atomic_cas_u64(
                &r.word, &word, RA_R_WORD(RA_REC_RUNNING, RA_R_FLAGS(word), RA_R_ATTEMPT(word), gen, h.slot)
            ):
                return True
        return False

    cdef bint unclaim(self, u64 record) noexcept:
        """RUNNING by us → QUEUED, without a cell. False when it was cancelled meanwhile, which is then ours to carry out."""
        cdef ra_record *r = ra_record_at(&self.arena.heap, record)
        cdef u64 word = atomic_load_u64(&r.word)
        while not RA_R_FLAGS(word) & RA_RF_CANCEL:
            if atomic_cas_u64(
                &r.word, &word, RA_R_WORD(RA_REC_QUEUED, RA_R_FLAGS(word), RA_R_ATTEMPT(word), RA_R_GEN(word), 0)
            ):
                return True
        return False
