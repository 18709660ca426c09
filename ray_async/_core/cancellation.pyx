"""Cancelling: before the start it is the canceller who ends the task, after it the worker."""

from ray_async._core.arena cimport Arena, add_counts
from ray_async._core.layout cimport *
from ray_async._core.object_ref cimport ObjectRef
from ray_async._core.store cimport complete_with
from ray_async._core.stream cimport Stream

OVER, DROPPED, ASKED = 0, 1, 2


def cancel(Arena arena, u64 record, bint force, bytes error):
    """Cancel a record.

    Returns:
        OVER: it had ended, and nothing was done; DROPPED: it had not begun, and its references hold ``error`` now;
        ASKED: it runs, and its worker was told.
    """
    cdef ra_heap *h = arena.open()
    cdef ra_record *r = ra_record_at(h, record)
    cdef u64 word = atomic_load_u64(&r.word), flags, queue = r.queue
    cdef bint call = r.kind == RA_KIND_ACTOR_CALL
    cdef u32 state, i
    while True:
        state = RA_R_STATE(word)
        if state >= RA_REC_DONE or state == 0:
            return OVER
        flags = RA_R_FLAGS(word) | RA_RF_CANCEL | (RA_RF_FORCE if force else 0)
        if state == RA_REC_RUNNING:
            if atomic_cas_u64(&r.word, &word, RA_R_WORD(state, flags, RA_R_ATTEMPT(word), RA_R_GEN(word), RA_R_RUNNER(word))):
                ra_event(h, RA_EV_CANCEL, record >> 6)
                return ASKED
            continue
        # Claim it as its runner, so that nobody starts or cancels it while its references are completed.
        if atomic_cas_u64(&r.word, &word, RA_R_WORD(RA_REC_RUNNING, flags, RA_R_ATTEMPT(word), RA_R_GEN(word), h.slot)):
            break
    if r.kflags & RA_KF_STREAM and ra_record_returns(h, record) == 2:
        Stream(arena, record).end(error)
    else:
        for i in range(ra_record_returns(h, record)):
            complete_with(arena, record + sizeof(ra_record) + i * sizeof(ra_entry), RA_ERROR, error)
    ra_record_finish(h, record, RA_REC_CANCELLED, 0)
    if call and ra_queue_check(h, queue):
        ra_queue_wake(h, queue_at(h, queue))  # calls that the actor keeps behind this one go on
    return DROPPED


add_counts(RA_LIVE)
