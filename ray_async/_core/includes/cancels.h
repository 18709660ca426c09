/* Cancels, and streams that nobody reads any more. A part of objects.h.
 *
 * A cancel is a flag in the record's word, set before the canceller goes on: whoever completes the record looks at it. So what
 * the canceller does next cannot overtake its cancel, whichever way it goes. Interrupting what runs is the node's.
 */
#ifndef RA_CANCELS_H
#define RA_CANCELS_H

#include "objects.h"

/* Have the runner of a record with this word look at its cancels when it is woken next, before it does anything else. */
static inline void ra_hint_runner(ra_heap *h, u64 w) {
    if (RA_R_STATE(w) != RA_REC_RUNNING || RA_R_RUNNER(w) >= RA_MAX_PROCS) return;
    atomic_fetch_or(&(RA_AT(h->base, ra_proc, h->super->procs) + RA_R_RUNNER(w))->flags, RA_PF_CANCEL);
}

/* Flag an unfinished record that is in use under `gen`, and leave all else to the node. Does nothing where it is cancelled. */
static inline void ra_flag_cancel(ra_heap *h, u64 record, u32 gen, u32 flags) {
    ra_record *r = ra_record_at(h, record);
    u64 w = atomic_load(&r->word);
    do {
        if (RA_R_STATE(w) < RA_REC_WAITING || RA_R_STATE(w) > RA_REC_RUNNING) return;
        if (RA_R_GEN(w) != gen || RA_R_FLAGS(w) & RA_RF_CANCEL) return;
    } while (!atomic_compare_exchange_weak(&r->word, &w, w | (u64)flags << 8));
    ra_hint_runner(h, w);
    ra_event(h, RA_EV_CANCEL, record);
}

/* What runs, as asyncio tasks note it that may outlive it: offset of the record 0-47 | its generation 48-63. */
#define RA_RUN_RECORD(run) ((run) & (((u64)1 << 48) - 1))
static inline u64 ra_run_of(ra_heap *h, u64 record) {
    return ra_block_check(h, record, RA_CHUNK_REC) ? record | (u64)RA_R_GEN(atomic_load(&ra_record_at(h, record)->word)) << 48 : record;
}

/* The parent of what is submitted by a run: noted there. None where this process does not run it any more, though perhaps
   another record in its place, or where it cleans up after its cancel. */
static inline u64 ra_parent(ra_heap *h, u64 run) {
    u64 record = RA_RUN_RECORD(run);
    if (!record || !ra_block_check(h, record, RA_CHUNK_REC)) return 0;
    au64 *word = &ra_record_at(h, record)->word;
    u64 w = atomic_load(word);
    do {
        if (RA_R_GEN(w) != run >> 48) return 0;
        if (RA_R_STATE(w) != RA_REC_RUNNING || RA_R_RUNNER(w) != h->slot || RA_R_FLAGS(w) & RA_RF_DELIVERED) return 0;
        if (RA_R_FLAGS(w) & RA_RF_PARENT) return record;
    } while (!atomic_compare_exchange_weak(word, &w, w | (u64)RA_RF_PARENT << 8));
    return record;
}

/* After a record was published: its parent may have been cancelled by someone who could not see it yet. */
static inline void ra_follow_parent(ra_heap *h, u64 parent, u64 parent_seq, u64 record, u32 gen) {
    u32 flags = RA_R_FLAGS(atomic_load(&ra_record_at(h, parent)->word));
    if (!(flags & RA_RF_CHILDREN) || ra_record_at(h, parent)->seq != parent_seq || !ra_block_check(h, record, RA_CHUNK_REC)) return;
    ra_record *r = ra_record_at(h, record);
    if (r->kflags & RA_KF_DETACHED) return;
    ra_flag_cancel(h, record, gen, RA_RF_CANCEL | RA_RF_CHILDREN | (r->kind == RA_KIND_TASK ? flags & RA_RF_FORCE : 0));
}

/* Whether nothing refers to a stream's next item, but its producer, nor to what stands for the call. */
static inline int ra_stream_is_left(ra_heap *h, u64 record) {
    ra_record *r = ra_record_at(h, record);
    u64 item = r->tail;
    if (ra_record_returns(h, record) != 2 || !(RA_FLAGS(atomic_load(&r->returns[1].word)) & RA_EF_DEAD)) return 0;
    if (item == record + sizeof(ra_record)) return (RA_FLAGS(atomic_load(&r->returns[0].word)) & RA_EF_DEAD) != 0;
    return ra_entry_check(h, item) && atomic_load(&ra_entry_at(h, item)->refs) <= 1;
}

/* A reader of a stream is gone. With the last one the producer is cancelled, unless it is detached. */
static inline void ra_stream_left(ra_heap *h, u64 record) {
    if (!ra_block_check(h, record, RA_CHUNK_REC)) return;
    ra_record *r = ra_record_at(h, record);
    u64 w = atomic_load(&r->word);
    if (!(r->kflags & RA_KF_STREAM) || r->kflags & RA_KF_DETACHED || !ra_stream_is_left(h, record)) return;
    ra_flag_cancel(h, record, RA_R_GEN(w), RA_RF_CANCEL | RA_RF_CHILDREN | RA_RF_LEFT);
    u32 waiter = atomic_load(&r->consumer_waits);
    if (waiter == 0 || waiter > RA_MAX_WAITERS) return;
    atomic_store(&ra_waiter_at(h, waiter - 1)->need, 0);
    ra_wake(h, waiter - 1);
}

#endif
