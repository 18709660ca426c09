/* What only the node does: taking back what a dead process held, walking over all records and objects, spilling, refilling. */
#ifndef RA_RECOVERY_H
#define RA_RECOVERY_H

#include "objects.h"

typedef void (*ra_visit)(void *context, u64 offset);

static inline int ra_is_taken(ra_chunk *c, u32 block) { return !(atomic_load(&c->free[block / 64]) >> (block % 64) & 1); }

static inline void ra_each_block(ra_heap *h, u32 kind, ra_visit visit, void *context) {
    u32 high = atomic_load(&h->super->high);
    for (u32 i = 0; i < high; i++) {
        ra_chunk *c = ra_chunk_at(h, i);
        u64 w = atomic_load(&c->word), start = ra_chunk_offset(h, i);
        if (RA_CHUNK_KIND(w) == RA_CHUNK_HEAD && RA_CHUNK_CLASS(w) == kind) {
            if (atomic_load(RA_AT(h->base, au64, start))) visit(context, start);
            continue;
        }
        if (RA_CHUNK_KIND(w) != kind || RA_CHUNK_CLASS(w) >= RA_CLASSES) continue;
        u32 cls = RA_CHUNK_CLASS(w), n = ra_blocks_in(cls);
        for (u32 k = 0; k < n; k++) {
            u64 offset = start + (u64)k * ra_block_size[cls];
            if (ra_is_taken(c, k) && atomic_load(RA_AT(h->base, au64, offset))) visit(context, offset);
        }
    }
}

static inline void ra_each_record(ra_heap *h, ra_visit visit, void *context) { ra_each_block(h, RA_CHUNK_REC, visit, context); }

/* OBJ blocks hold entries, actors and queues; a queue's first word is 1, which is no entry's word (state PENDING has more bits). */
static inline void ra_each_object(ra_heap *h, ra_visit visit, void *context) { ra_each_block(h, RA_CHUNK_OBJ, visit, context); }

static inline void ra_reap_holds(ra_heap *h, ra_proc *p) {
    u64 page = atomic_load(&p->holds);
    while (ra_block_check(h, page, RA_CHUNK_HOLDS) || (page && page % RA_CHUNK == h->super->data % RA_CHUNK)) {
        u64 next = *RA_AT(h->base, u64, page);
        for (u64 slot = page + 8; slot < page + RA_CHUNK; slot += 8) {
            u64 v = atomic_load(RA_AT(h->base, au64, slot)), entry = v & ~(u64)63;
            u32 tag = (u32)(v & 3);
            if (tag != RA_HOLD_HELD || (v & 63) > 7) continue;
            if (entry < h->super->data || entry >= h->super->bytes) continue;
            if (v & RA_HOLD_VIEW) atomic_fetch_sub(&ra_entry_at(h, entry)->views, 1);
            ra_unpin(h, entry);
        }
        u32 index = ra_chunk_index(h, page);
        ra_chunk_release(h, index);
        atomic_fetch_sub(&h->super->used, 1);
        page = next;
    }
    atomic_store(&p->holds, 0);
}

static inline void ra_reap_run(ra_heap *h, u32 index) {
    u64 start = ra_chunk_offset(h, index);
    ra_payload *p = ra_payload_at(h, start);
    u64 w = atomic_load(&p->word);
    if (w == 0 || (w & 0xff) == RA_PAYLOAD_BUILDING) {
        if (w) {
            u64 *refs = (u64 *)(p + 1);
            for (u32 i = 0; i < p->n_refs; i++) ra_unpin(h, refs[i]);
        }
        ra_run_release(h, index);
    }
}

static inline void ra_reap_slab(ra_heap *h, u32 index, u64 w, u32 slot) {
    ra_chunk *c = ra_chunk_at(h, index);
    u32 cls = RA_CHUNK_CLASS(w), kind = RA_CHUNK_KIND(w), n = ra_blocks_in(cls), taken = 0;
    u64 start = ra_chunk_offset(h, index);
    /* Only frees can happen meanwhile: the owner is dead, and nobody adopts what is not an orphan yet. */
    for (u32 k = 0; k < n; k++) {
        if (!ra_is_taken(c, k)) continue;
        u64 offset = start + (u64)k * ra_block_size[cls], word = atomic_load(RA_AT(h->base, au64, offset));
        int unpublished = word == 0;
        if (kind == RA_CHUNK_DATA && (word & 0xff) == RA_PAYLOAD_BUILDING) unpublished = 1;
        if (kind == RA_CHUNK_REC && RA_R_STATE(word) == RA_REC_NEW && RA_R_RUNNER(word) == slot) unpublished = 1;
        if (unpublished) {
            atomic_store(RA_AT(h->base, au64, offset), 0);
            atomic_fetch_or(&c->free[k / 64], 1ull << (k % 64));
        } else
            taken++;
    }
    (void)taken;
    atomic_fetch_add(&h->super->orphans, 1);
    atomic_store(&c->word, RA_CHUNK_WORD(kind, cls, RA_ORPHAN, RA_CHUNK_GEN(w) + 1));
}

/* Take back everything that the process in `slot` had: its references, waiters, leases of memory, unpublished blocks. */
static inline void ra_reap(ra_heap *h, u32 slot) {
    ra_super *s = h->super;
    ra_proc *p = RA_AT(h->base, ra_proc, s->procs) + slot;
    ra_reap_holds(h, p);
    u32 high = atomic_load(&s->high);
    for (u32 i = 0; i < high; i++) {
        ra_chunk *c = ra_chunk_at(h, i);
        u64 w = atomic_load(&c->word);
        if (RA_CHUNK_OWNER(w) != slot) continue;
        switch (RA_CHUNK_KIND(w)) {
            case RA_CHUNK_CLAIMED:
            case RA_CHUNK_HOLDS:
                ra_chunk_release(h, i);
                atomic_fetch_sub(&s->used, 1);
                break;
            case RA_CHUNK_HEAD:
                ra_reap_run(h, i);
                break;
            case RA_CHUNK_DATA:
            case RA_CHUNK_OBJ:
            case RA_CHUNK_REC:
                if (RA_CHUNK_CLASS(w) < RA_CLASSES) ra_reap_slab(h, i, w, slot);
                break;
            default: /* the tail of a run goes with its head */
                break;
        }
    }
    u32 n = atomic_load(&s->n_waiters);
    for (u32 i = 0; i < n && i < RA_MAX_WAITERS; i++) {
        ra_waiter *w = ra_waiter_at(h, i);
        if (atomic_load(&w->kind) == RA_WAITER_FREE || w->slot != slot) continue;
        u32 classes = atomic_load(&s->n_classes);
        for (u32 k = 1; k < classes && k < RA_MAX_CLASSES; k++) {
            ra_class *cls = RA_AT(h->base, ra_class, s->classes) + k;
            if (atomic_load(&cls->state) != RA_CLASS_READY) continue;
            ra_queue *q = RA_AT(h->base, ra_queue, cls->queue);
            for (u32 m = 0; m < RA_QUEUE_WAITERS; m++) {
                u32 expected = i + 1;
                atomic_compare_exchange_strong(&q->waiters[m], &expected, 0);
            }
        }
        atomic_store(&w->armed, 0);
        atomic_store(&w->kind, RA_WAITER_FREE);
    }
    atomic_store(&p->lease, 0);
    atomic_store(&p->flags, 0);
    atomic_store(&p->blocked, 0);
    atomic_store(&p->state, RA_PROC_FREE);
}

/* ---- spilling ---- */

/* Claim a value for moving. Returns its payload, or 0 when it is not a separate, unviewed value. */
static inline u64 ra_spill_begin(ra_heap *h, u64 entry) {
    ra_entry *e = ra_entry_at(h, entry);
    u64 w = atomic_load(&e->word);
    do {
        if (RA_STATE(w) != RA_VALUE || !ra_has_payload(w) || RA_FLAGS(w) & (RA_EF_EMBEDDED | RA_EF_DEAD) || atomic_load(&e->views)) return 0;
    } while (!atomic_compare_exchange_weak(&e->word, &w, (w & ~0xffull) | RA_BUSY));
    if (atomic_load(&e->views) == 0) return e->payload;
    return 0; /* a reader came first; the caller ends the move with the old state */
}

static inline int ra_forget(ra_heap *h, u64 entry) {
    ra_entry *e = ra_entry_at(h, entry);
    u64 w = atomic_load(&e->word), stack = 0;
    if (!(RA_FLAGS(w) & RA_EF_DEAD)) return 0;
    u64 link = e->link;
    if (RA_FLAGS(w) & RA_EF_IN_RECORD)
        ra_record_unlive(h, ra_record_of(entry, e->index), &stack);
    else
        ra_free(h, entry);
    if (link) ra_unpin_into(h, link, &stack);
    ra_drain(h, &stack);
    return 1;
}

/* Publish an entry again after a move, in `state` and with the payload (or spill number) given; tell who waits. */
static inline void ra_spill_end(ra_heap *h, u64 entry, u32 state, u64 payload) {
    ra_entry *e = ra_entry_at(h, entry);
    e->payload = payload;
    u64 w = atomic_load(&e->word), next;
    do next = RA_WORD(state, RA_FORMAT(w), RA_FLAGS(w) & ~(u32)RA_EF_MULTI, RA_GEN(w), 0);
    while (!atomic_compare_exchange_weak(&e->word, &w, next));
    if (RA_FLAGS(w) & RA_EF_DEAD) {
        u64 stack = 0;
        ra_entry_clear(h, entry, next, &stack);
        ra_drain(h, &stack);
        return;
    }
    ra_notify(h, entry, w, 1);
}

/* ---- overflow ---- */

/* Move records from a queue's overflow stack into its ring, oldest first. Returns how many stay behind. Single caller: the node. */
static inline u32 ra_refill(ra_heap *h, u64 queue) {
    ra_queue *q = RA_AT(h->base, ra_queue, queue);
    /* The chain that was taken before and did not fit hangs, in order, on `backlog`. */
    u64 taken = atomic_exchange(&q->overflow, 0), ordered = 0, last = 0;
    while (taken) {
        ra_record *r = ra_record_at(h, taken);
        u64 below = atomic_load(&r->next);
        atomic_store(&r->next, ordered);
        if (!ordered) last = taken;
        ordered = taken;
        taken = below;
    }
    if (ordered) {
        if (q->backlog_end)
            atomic_store(&ra_record_at(h, q->backlog_end)->next, ordered);
        else
            q->backlog = ordered;
        q->backlog_end = last;
    }
    while (q->backlog) {
        u64 record = q->backlog;
        ra_record *r = ra_record_at(h, record);
        u64 next = atomic_load(&r->next), w = atomic_load(&r->word);
        if (RA_R_STATE(w) == RA_REC_QUEUED && !ra_queue_push(q, record, RA_R_GEN(w))) return 1;
        q->backlog = next;
        if (!next) q->backlog_end = 0;
        u64 stack = 0;
        if (RA_R_STATE(w) != RA_REC_DONE) atomic_store(&r->next, 0);
        ra_record_unlive(h, record, &stack);
        ra_drain(h, &stack);
        ra_queue_wake(h, q);
    }
    atomic_store(&q->overflowing, 0);
    if (atomic_load(&q->overflow)) { /* someone saw the flag before it was cleared */
        atomic_store(&q->overflowing, 1);
        return 1;
    }
    return 0;
}

#endif
