/* What only the node does: taking back what a dead process held, walking over all records and objects, spilling, refilling. */
#ifndef RA_RECOVERY_H
#define RA_RECOVERY_H

#include "classes.h"

typedef void (*ra_visit)(void *context, u64 offset);

static inline int ra_is_taken(ra_chunk *c, u32 block) { return !(atomic_load(&c->free[block / 64]) >> (block % 64) & 1); }

static inline void ra_each_block(ra_heap *h, u32 kind, ra_visit visit, void *context) {
    u32 high = ra_chunks_used(h);
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

static inline int ra_is_hold_page(ra_heap *h, u64 page) {
    return ra_inside(h, page, RA_CHUNK) && (page - h->super->data) % RA_CHUNK == 0 &&
           RA_CHUNK_KIND(atomic_load(&ra_chunk_at(h, ra_chunk_index(h, page))->word)) == RA_CHUNK_HOLDS;
}

static inline void ra_reap_holds(ra_heap *h, ra_proc *p) {
    u64 page = atomic_load(&p->holds);
    while (ra_is_hold_page(h, page)) { /* a page is released at once, so that no page comes twice */
        u64 next = *RA_AT(h->base, u64, page);
        for (u64 slot = page + 8; slot < page + RA_CHUNK; slot += 8) {
            u64 v = atomic_load(RA_AT(h->base, au64, slot)), entry = v & ~(u64)63;
            if ((v & 63 & ~(u64)RA_HOLD_VIEW) != RA_HOLD_HELD || !ra_entry_check(h, entry)) continue;
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

/* Whether `payload` is a block of the process in `slot`: what a dead process notes can only be its own. */
static inline int ra_is_payload_of(ra_heap *h, u64 payload, u32 slot) {
    u64 w = ra_block_start(h, payload);
    return w && RA_CHUNK_OWNER(w) == slot && ra_block_check(h, payload, RA_CHUNK_DATA) && atomic_load(RA_AT(h->base, au64, payload));
}

static inline void ra_return_repair(ra_heap *h, u64 entry, u32 slot) {
    ra_entry *e = ra_entry_at(h, entry);
    u64 stack = 0;
    if (RA_STATE(atomic_load(&e->word)) != RA_PENDING || !ra_is_payload_of(h, e->payload, slot)) return;
    ra_payload_push(h, e->payload, &stack);
    e->payload = 0;
    ra_drain(h, &stack);
}

/* Give back the payloads that a dead runner had written for returns, or for a stream's next item, and not published. To be
   done before its blocks find a new owner, and before anybody else runs the record. */
static inline void ra_returns_repair(ra_heap *h, u64 record, u32 slot) {
    ra_record *r = ra_record_at(h, record);
    u64 first = record + sizeof(ra_record), item = r->tail;
    for (u32 i = 0, n = ra_record_returns(h, record); i < n; i++) ra_return_repair(h, first + i * sizeof(ra_entry), slot);
    if (r->kflags & RA_KF_STREAM && item != first && ra_entry_check(h, item)) ra_return_repair(h, item, slot);
}

/* Whether a block was taken and not yet published, nor is made by anybody. */
static inline int ra_is_unpublished(ra_heap *h, u64 offset, u32 kind) {
    u64 word = atomic_load(RA_AT(h->base, au64, offset));
    return word == 0 || (kind == RA_CHUNK_DATA && (word & 0xff) == RA_PAYLOAD_BUILDING);
}

/* A record or entry that the dead process in `slot` was making. */
static inline void ra_reap_made(ra_heap *h, u64 offset, u32 kind, u32 slot) {
    u64 word = atomic_load(RA_AT(h->base, au64, offset));
    if (kind == RA_CHUNK_REC && RA_R_STATE(word) == RA_REC_NEW && RA_R_RUNNER(word) == slot) {
        ra_record *r = ra_record_at(h, offset);
        if (r->kflags & RA_KF_SEPARATE_ARGS && !ra_is_payload_of(h, r->args, slot)) r->args = 0;
        ra_record_abandon(h, offset);
    } else if (kind == RA_CHUNK_OBJ && RA_STATE(word) == RA_MAKING) {
        ra_entry *e = ra_entry_at(h, offset);
        if (!(RA_FLAGS(word) & RA_EF_EMBEDDED) && !ra_is_payload_of(h, e->payload, slot)) e->payload = 0;
        ra_entry_abandon(h, offset);
    }
}

static inline void ra_reap_making(ra_heap *h, u32 index, u64 w, u32 slot) {
    ra_chunk *c = ra_chunk_at(h, index);
    u32 kind = RA_CHUNK_KIND(w), cls = RA_CHUNK_CLASS(w);
    u64 start = ra_chunk_offset(h, index);
    if (kind == RA_CHUNK_HEAD) ra_reap_made(h, start, cls, slot);
    if ((kind != RA_CHUNK_OBJ && kind != RA_CHUNK_REC) || cls >= RA_CLASSES) return;
    for (u32 k = 0, n = ra_blocks_in(cls); k < n; k++)
        if (ra_is_taken(c, k)) ra_reap_made(h, start + (u64)k * ra_block_size[cls], kind, slot);
}

/* Whether a record hangs in the overflow of its queue, or in what the node has taken from it. */
static inline int ra_is_listed(ra_heap *h, ra_queue *q, u64 record) {
    u64 lists[2] = {atomic_load(&q->overflow), q->backlog};
    u64 left = (u64)h->super->n_chunks * ra_blocks_in(0); /* no list is longer than this */
    for (int i = 0; i < 2; i++)
        for (u64 at = lists[i]; at && left-- && ra_block_check(h, at, RA_CHUNK_REC); at = atomic_load(&ra_record_at(h, at)->next))
            if (at == record) return 1;
    return 0;
}

/* The record that a dead process was queueing: nobody knows whether it got there, so it goes there again. A second cell for
   a record does no harm, a second place in a list would. */
static inline void ra_reap_publishing(ra_heap *h, ra_proc *p) {
    u64 record = atomic_load(&p->publishing);
    atomic_store(&p->publishing, 0);
    if (!ra_block_check(h, record, RA_CHUNK_REC)) return;
    ra_record *r = ra_record_at(h, record);
    u32 state = RA_R_STATE(atomic_load(&r->word));
    if (state == RA_REC_WAITING) ra_event(h, RA_EV_WAITING, record);
    if (state != RA_REC_QUEUED || !ra_queue_check(h, r->queue)) return;
    if (!ra_is_listed(h, RA_AT(h->base, ra_queue, r->queue), record)) ra_enqueue(h, record);
    if (r->actor) ra_event(h, RA_EV_ACTOR_DRAIN, r->actor);
}

/* The references that an unpublished payload has pinned already. */
static inline void ra_reap_payload(ra_heap *h, u64 payload, u64 *stack) {
    if (atomic_load(&ra_payload_at(h, payload)->word)) ra_payload_refs_drop(h, payload, stack);
}

static inline void ra_reap_run(ra_heap *h, u32 index, u32 kind) {
    u64 start = ra_chunk_offset(h, index), stack = 0;
    if (!ra_is_unpublished(h, start, kind)) return;
    if (kind == RA_CHUNK_DATA) ra_reap_payload(h, start, &stack);
    ra_run_release(h, index);
    ra_drain(h, &stack);
}

static inline void ra_reap_slab(ra_heap *h, u32 index, u64 w) {
    ra_chunk *c = ra_chunk_at(h, index);
    u32 cls = RA_CHUNK_CLASS(w), kind = RA_CHUNK_KIND(w), n = ra_blocks_in(cls);
    u64 start = ra_chunk_offset(h, index), stack = 0;
    /* Only frees can happen meanwhile: the owner is dead, and nobody adopts what is not an orphan yet. */
    for (u32 k = 0; k < n; k++) {
        u64 offset = start + (u64)k * ra_block_size[cls];
        if (!ra_is_taken(c, k) || !ra_is_unpublished(h, offset, kind)) continue;
        if (kind == RA_CHUNK_DATA) ra_reap_payload(h, offset, &stack);
        atomic_store(RA_AT(h->base, au64, offset), 0);
        atomic_fetch_or(&c->free[k / 64], 1ull << (k % 64));
    }
    atomic_fetch_add(&h->super->orphans, 1);
    atomic_store(&c->word, RA_CHUNK_WORD(kind, cls, RA_ORPHAN, RA_CHUNK_GEN(w) + 1));
    ra_drain(h, &stack);
}

/* A waiter of the dead process is not to be woken by a queue any more. */
static inline void ra_reap_queue(ra_heap *h, u64 queue, u32 waiter) {
    if (!ra_queue_check(h, queue)) return;
    ra_queue *q = RA_AT(h->base, ra_queue, queue);
    for (u32 m = 0; m < RA_QUEUE_WAITERS; m++) {
        u32 expected = waiter + 1;
        atomic_compare_exchange_strong(&q->waiters[m], &expected, 0);
    }
}

static inline void ra_reap_waiter(ra_heap *h, u32 waiter, ra_proc *p) {
    u64 lease = atomic_load(&p->lease), actor = (lease & 0xff) == RA_LEASE_ACTOR ? lease >> 32 << 6 : 0;
    ra_reap_queue(h, atomic_load(&p->serving), waiter);
    if (ra_block_check(h, actor, RA_CHUNK_OBJ)) ra_reap_queue(h, RA_AT(h->base, ra_actor, actor)->queue, waiter);
    atomic_store(&ra_waiter_at(h, waiter)->armed, 0);
    atomic_store(&ra_waiter_at(h, waiter)->kind, RA_WAITER_FREE);
}

/* The scheduling classes that the dead process was making. */
static inline void ra_reap_classes(ra_heap *h, u32 slot) {
    for (u32 id = 1, n = atomic_load(&h->super->n_classes); id < n && id < RA_MAX_CLASSES; id++) {
        u64 w = atomic_load(&ra_class_at(h, id)->word);
        if (RA_CLASS_STATE(w) == RA_CLASS_BUILDING && RA_CLASS_CREATOR(w) == slot) ra_class_abandon(h, id);
    }
}

/* A larger ring that the dead process has made and not hung behind a queue's. */
static inline void ra_reap_growing(ra_heap *h, ra_proc *p) {
    u64 made = atomic_load(&p->growing);
    atomic_store(&p->growing, 0);
    if (!made || !ra_queue_check(h, made)) return;
    u64 home = RA_AT(h->base, ra_queue, made)->home;
    if (!ra_queue_check(h, home)) return;
    for (u64 at = home; at; at = ra_ring_next(h, RA_AT(h->base, ra_queue, at)))
        if (at == made) return;
    ra_free(h, made);
}

/* The dead process may have been about to wake somebody: it had put a waiter to `awake` and not sent the wake-up,
   or completed an object and not entered it into a loop's ring. So everybody who waits looks at everything. */
static inline void ra_reap_wakes(ra_heap *h) {
    u32 n = atomic_load(&h->super->n_waiters);
    for (u32 i = 0; i < n && i < RA_MAX_WAITERS; i++) {
        ra_waiter *w = ra_waiter_at(h, i);
        u32 kind = atomic_load(&w->kind);
        if (kind == RA_WAITER_LOOP) {
            atomic_store(&w->rescan, 1);
            ra_wake_loop(h, i);
        } else if (kind == RA_WAITER_THREAD) {
            atomic_store(&w->armed, 0);
            ra_futex_wake(&w->armed);
        }
    }
}

/* The blocks that a dead process had taken among the chunks from `from` up to `to`. */
static inline void ra_reap_chunks(ra_heap *h, u32 slot, u32 from, u32 to) {
    for (u32 i = from, run_end = from; i < to; i++) {
        ra_chunk *c = ra_chunk_at(h, i);
        u64 w = atomic_load(&c->word);
        u32 kind = RA_CHUNK_KIND(w), length = kind == RA_CHUNK_HEAD ? atomic_load(&c->length) : 0;
        if (length) run_end = i + length;
        if (RA_CHUNK_OWNER(w) != slot) continue;
        if (kind == RA_CHUNK_HEAD)
            ra_reap_run(h, i, RA_CHUNK_CLASS(w));
        else if (kind == RA_CHUNK_CLAIMED || kind == RA_CHUNK_HOLDS || (kind == RA_CHUNK_TAIL && i >= run_end)) {
            /* The tail of a run goes with its head; a tail whose head was not finished goes alone. */
            ra_chunk_release(h, i);
            ra_uncount(h, i, 1);
        } else if (kind >= RA_CHUNK_DATA && kind <= RA_CHUNK_REC && RA_CHUNK_CLASS(w) < RA_CLASSES)
            ra_reap_slab(h, i, w);
    }
}

/* Take back everything that the process in `slot` had: its references, waiters, leases of memory, unpublished blocks. */
static inline void ra_reap(ra_heap *h, u32 slot) {
    ra_super *s = h->super;
    ra_proc *p = RA_AT(h->base, ra_proc, s->procs) + slot;
    ra_reap_growing(h, p);
    ra_reap_classes(h, slot);
    ra_reap_holds(h, p);
    /* First what refers to blocks, then the blocks: they find new owners at once. */
    for (u32 i = 0, high = ra_chunks_used(h); i < high; i++) {
        u64 w = atomic_load(&ra_chunk_at(h, i)->word);
        if (RA_CHUNK_OWNER(w) == slot) ra_reap_making(h, i, w, slot);
    }
    ra_reap_publishing(h, p);
    ra_reap_chunks(h, slot, 0, ra_chunks_used(h));
    ra_reap_chunks(h, slot, s->n_memory, ra_overflow_end(h));
    u32 n = atomic_load(&s->n_waiters);
    for (u32 i = 0; i < n && i < RA_MAX_WAITERS; i++) {
        ra_waiter *w = ra_waiter_at(h, i);
        if (atomic_load(&w->kind) != RA_WAITER_FREE && w->slot == slot) ra_reap_waiter(h, i, p);
    }
    atomic_store(&p->lease, 0);
    atomic_store(&p->serving, 0);
    atomic_store(&p->looking, 0);
    atomic_store(&p->flags, 0);
    atomic_store(&p->blocked, 0);
    atomic_store(&p->state, RA_PROC_FREE);
    ra_reap_wakes(h);
}

static inline u32 ra_count_taken(ra_heap *h, u32 from, u32 to) {
    u32 n = 0;
    for (u32 i = from; i < to; i++) n += RA_CHUNK_KIND(atomic_load(&ra_chunk_at(h, i)->word)) != RA_CHUNK_FREE;
    return n;
}

/* Chunks in use, counted one by one: of the shared memory, and of the overflow file. */
static inline u32 ra_count_used(ra_heap *h) { return ra_count_taken(h, 0, ra_chunks_used(h)); }
static inline u32 ra_count_overflow(ra_heap *h) { return ra_count_taken(h, h->super->n_memory, ra_overflow_end(h)); }

/* The same for chunks that may have pages. */
static inline u32 ra_count_warm(ra_heap *h) {
    u32 n = 0;
    for (u32 i = 0, high = ra_chunks_used(h); i < high; i++) n += atomic_load(&ra_chunk_at(h, i)->warm) != 0;
    return n;
}

/* ---- spilling ---- */

/* Publish an entry again after a move, in `state` and with the payload (or spill number) given; wake who waits. */
static inline void ra_spill_end(ra_heap *h, u64 entry, u32 state, u64 payload) {
    ra_entry *e = ra_entry_at(h, entry);
    e->payload = payload;
    u64 w = atomic_load(&e->word), next;
    do next = RA_WORD(state, RA_FORMAT(w), RA_FLAGS(w) & ~(u32)RA_EF_MULTI, RA_GEN(w), 0);
    while (!atomic_compare_exchange_weak(&e->word, &w, next));
    if (RA_FLAGS(w) & RA_EF_DEAD) {
        u64 stack = 0, link = ra_take_link(h, entry);
        ra_entry_clear(h, entry, next, &stack);
        if (link) ra_unpin_into(h, link, &stack);
        ra_drain(h, &stack);
        return;
    }
    ra_notify(h, entry, w, 1);
}

/* Claim a value for moving. Returns its payload, or 0 when it is not a separate, unviewed value. */
static inline u64 ra_spill_begin(ra_heap *h, u64 entry) {
    ra_entry *e = ra_entry_at(h, entry);
    u64 w = atomic_load(&e->word);
    do {
        if (RA_STATE(w) != RA_VALUE || !ra_has_payload(w) || RA_FLAGS(w) & (RA_EF_EMBEDDED | RA_EF_DEAD) || atomic_load(&e->views)) return 0;
    } while (!atomic_compare_exchange_weak(&e->word, &w, (w & ~0xffull) | RA_BUSY));
    if (atomic_load(&e->views) == 0) return e->payload;
    ra_spill_end(h, entry, RA_VALUE, e->payload); /* a reader came first */
    return 0;
}

static inline int ra_forget(ra_heap *h, u64 entry) {
    ra_entry *e = ra_entry_at(h, entry);
    u64 w = atomic_load(&e->word), stack = 0;
    if (!(RA_FLAGS(w) & RA_EF_DEAD)) return 0;
    u64 link = ra_take_link(h, entry);
    if (RA_FLAGS(w) & RA_EF_IN_RECORD)
        ra_record_unlive(h, ra_record_of(entry, e->index), &stack);
    else
        ra_free(h, entry);
    if (link) ra_unpin_into(h, link, &stack);
    ra_drain(h, &stack);
    return 1;
}

/* ---- streams ---- */

/* Bring a stream whose producer was killed between two items into a state from which the next attempt goes on.

   A producer notes the item that comes next (in the payload of the reference that stands for the whole task, which has no
   value yet), links it, completes the present item, and moves the tail. The consumer may have taken the link already, so the
   note says where the stream continues. Items are numbered, which distinguishes an old note from a new one. */
static inline void ra_stream_repair(ra_heap *h, u64 record) {
    ra_record *r = ra_record_at(h, record);
    if (!(r->kflags & RA_KF_STREAM) || ra_record_returns(h, record) != 2) return;
    ra_entry *done = &r->returns[1];
    u64 first = record + sizeof(ra_record), item = r->tail, next = done->payload;
    if (RA_STATE(atomic_load(&done->word)) != RA_PENDING || !ra_entry_check(h, item)) return;
    ra_entry *e = ra_entry_at(h, item);
    u32 index = item == first ? 2 : e->index + 1;
    if (ra_block_check(h, next, RA_CHUNK_OBJ) && ra_entry_at(h, next)->seq == r->seq && ra_entry_at(h, next)->index == index) {
        if (RA_STATE(atomic_load(&e->word)) == RA_PENDING) { /* the item was not completed: nobody knows what follows it */
            e->link = done->payload = 0;
            ra_free(h, next);
        } else {
            r->tail = next;
            if (item != first) ra_unpin(h, item);
        }
    }
    atomic_store(&r->produced, r->tail == first ? 0 : ra_entry_at(h, r->tail)->index - 1);
}

/* ---- overflow ---- */

/* Move records from a queue's overflow stack into its ring, oldest first. Returns how many stay behind. Single caller: the node. */
static inline u32 ra_refill(ra_heap *h, u64 queue) {
    ra_queue *q = RA_AT(h->base, ra_queue, queue);
    /* The chain that was taken before and did not fit hangs, in order, on `backlog`. */
    u64 taken = atomic_exchange(&q->overflow, 0), ordered = 0, last = 0;
    /* No list is longer than this; in damaged memory one may be a circle. */
    u64 left = (u64)h->super->n_chunks * ra_blocks_in(0);
    while (taken && left-- && ra_block_check(h, taken, RA_CHUNK_REC)) {
        ra_record *r = ra_record_at(h, taken);
        u64 below = atomic_load(&r->next);
        atomic_store(&r->next, ordered);
        if (!ordered) last = taken;
        ordered = taken;
        taken = below;
    }
    if (ordered) {
        if (q->backlog_end && ra_block_check(h, q->backlog_end, RA_CHUNK_REC))
            atomic_store(&ra_record_at(h, q->backlog_end)->next, ordered);
        else
            q->backlog = ordered;
        q->backlog_end = last;
    }
    for (left = (u64)h->super->n_chunks * ra_blocks_in(0); q->backlog; left--) {
        u64 record = q->backlog, stack = 0;
        if (!left || !ra_block_check(h, record, RA_CHUNK_REC)) {
            q->backlog = q->backlog_end = 0;
            break;
        }
        ra_record *r = ra_record_at(h, record);
        u64 next = atomic_load(&r->next), w = atomic_load(&r->word);
        int queued = RA_R_STATE(w) == RA_REC_QUEUED;
        if (queued && !ra_queue_push(h, q, record, RA_R_GEN(w))) return 1;
        q->backlog = next;
        if (!next) q->backlog_end = 0;
        ra_record_unlive(h, record, &stack);
        ra_drain(h, &stack);
        if (queued) ra_queue_wake(h, q);
    }
    atomic_store(&q->overflowing, 0);
    if (atomic_load(&q->overflow)) { /* someone saw the flag before it was cleared */
        atomic_store(&q->overflowing, 1);
        return 1;
    }
    return 0;
}

#endif
