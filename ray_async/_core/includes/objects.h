/* Objects: references, completion, and the freeing of what nobody refers to. */
#ifndef RA_OBJECTS_H
#define RA_OBJECTS_H

#include "queue.h"

static inline ra_entry *ra_entry_at(ra_heap *h, u64 offset) { return RA_AT(h->base, ra_entry, offset); }
static inline ra_record *ra_record_at(ra_heap *h, u64 offset) { return RA_AT(h->base, ra_record, offset); }
static inline ra_payload *ra_payload_at(ra_heap *h, u64 offset) { return RA_AT(h->base, ra_payload, offset); }

/* The record that an entry with flag IN_RECORD lies in. */
static inline u64 ra_record_of(u64 entry, u32 index) { return entry - sizeof(ra_record) - (u64)index * sizeof(ra_entry); }

/* Whether an entry is at `offset`: for offsets that another process wrote. */
static inline int ra_entry_check(ra_heap *h, u64 offset) {
    if (ra_block_check(h, offset, RA_CHUNK_OBJ)) return 1;
    ra_super *s = h->super;
    if (offset < s->data || offset > s->data + ((u64)s->n_chunks << RA_CHUNK_SHIFT) - sizeof(ra_entry) || offset % 64) return 0;
    /* In a record: its index says where the record starts. */
    u32 index = ra_entry_at(h, offset)->index;
    u64 record = ra_record_of(offset, index);
    return record < offset && ra_block_check(h, record, RA_CHUNK_REC) && index < ra_record_at(h, record)->n_returns;
}

/* Returns of a record, as many as its block can hold. */
static inline u32 ra_record_returns(ra_heap *h, u64 record) {
    u64 bytes = ra_block_bytes(h, record), room = bytes < sizeof(ra_record) ? 0 : (bytes - sizeof(ra_record)) / sizeof(ra_entry);
    u32 n = ra_record_at(h, record)->n_returns;
    return n < room ? n : (u32)room;
}

/* Whether `size` bytes at `offset` lie where blocks are. */
static inline int ra_inside(ra_heap *h, u64 offset, u64 size) {
    u64 end = h->super->data + ((u64)h->super->n_chunks << RA_CHUNK_SHIFT);
    return offset >= h->super->data && offset % 64 == 0 && offset < end && size <= end - offset;
}

/* Whether a loop's ring can lie at `offset`: for the push of every completion, so it looks at bounds only. */
static inline int ra_is_loop_ring(ra_heap *h, u64 offset) { return ra_inside(h, offset, ra_queue_bytes(RA_LOOP_RING_LOG2)); }

static inline u64 ra_next_seq(ra_heap *h) { return (u64)h->uid << 40 | ++h->counter; }

/* ---- the hold table: which references this process has, for the node to return when the process is killed ----

   A page is one chunk: the offset of the next page, then slots. A slot is an entry's offset with tag HELD, the next free
   slot's offset with tag FREE_SLOT, or an offset with tag CHANGING while the count is being changed: then the node leaves
   the count alone, since it cannot know which came first (a leak of one object, in a window of two instructions). */
enum { RA_HOLD_HELD = 1, RA_HOLD_CHANGING = 2, RA_HOLD_FREE = 3, RA_HOLD_VIEW = 4, RA_HOLD_TAG = 7 };

static inline u64 ra_hold_slot(ra_heap *h) {
    u64 slot = h->hold_free;
    if (slot) {
        RA_ASSERT((atomic_load(RA_AT(h->base, au64, slot)) & RA_HOLD_TAG) == RA_HOLD_FREE);
        RA_COUNT(hold_slots, 1);
        h->hold_free = atomic_load_explicit(RA_AT(h->base, au64, slot), memory_order_relaxed) & ~(u64)RA_HOLD_TAG;
        return slot;
    }
    if (h->hold_fresh == h->hold_end) {
        int64_t index = ra_run_claim(h, 1, RA_CHUNK_HOLDS, 0);
        if (index < 0 && ra_reclaim_empty(h)) index = ra_run_claim(h, 1, RA_CHUNK_HOLDS, 0);
        if (index < 0) return 0;
        ra_proc *p = RA_AT(h->base, ra_proc, h->super->procs) + h->slot;
        u64 page = ra_chunk_offset(h, (u32)index);
        memset(h->base + page, 0, RA_CHUNK);
        *RA_AT(h->base, u64, page) = atomic_load(&p->holds);
        atomic_store(&p->holds, page);
        h->hold_fresh = page + 8;
        h->hold_end = page + RA_CHUNK;
    }
    slot = h->hold_fresh;
    h->hold_fresh += 8;
    RA_COUNT(hold_slots, 1);
    return slot;
}

static inline void ra_hold_return(ra_heap *h, u64 slot) {
    RA_ASSERT((atomic_load(RA_AT(h->base, au64, slot)) & RA_HOLD_TAG) != RA_HOLD_FREE);
    RA_COUNT(hold_slots, -1);
    atomic_store_explicit(RA_AT(h->base, au64, slot), h->hold_free | RA_HOLD_FREE, memory_order_relaxed);
    h->hold_free = slot;
}

/* Note a reference that is counted already (a new entry starts with one). Returns the slot, or 0 when the arena is full. */
static inline u64 ra_hold_counted(ra_heap *h, u64 entry) {
    u64 slot = ra_hold_slot(h);
    if (slot) atomic_store(RA_AT(h->base, au64, slot), entry | RA_HOLD_HELD);
    return slot;
}

/* Count one more reference of this process. The caller knows that the entry is alive (someone else's count keeps it). */
static inline u64 ra_hold(ra_heap *h, u64 entry) {
    u64 slot = ra_hold_slot(h);
    if (!slot) return 0;
    au64 *s = RA_AT(h->base, au64, slot);
    atomic_store(s, entry | RA_HOLD_CHANGING);
    atomic_fetch_add(&ra_entry_at(h, entry)->refs, 1);
    atomic_store(s, entry | RA_HOLD_HELD);
    return slot;
}

/* The same where nobody's count may be left: 0 then. A count that reached zero never rises again. */
static inline u64 ra_hold_alive(ra_heap *h, u64 entry) {
    u64 slot = ra_hold_slot(h);
    if (!slot) return 0;
    au64 *s = RA_AT(h->base, au64, slot);
    au32 *refs = &ra_entry_at(h, entry)->refs;
    u32 seen = atomic_load(refs);
    atomic_store(s, entry | RA_HOLD_CHANGING);
    do {
        if (seen == 0) {
            ra_hold_return(h, slot);
            return 0;
        }
    } while (!atomic_compare_exchange_weak(refs, &seen, seen + 1));
    atomic_store(s, entry | RA_HOLD_HELD);
    return slot;
}

/* ---- freeing ---- */

static inline void ra_record_unlive(ra_heap *h, u64 record, u64 *stack);
static inline void ra_unpin_into(ra_heap *h, u64 entry, u64 *stack);
static inline void ra_stream_left(ra_heap *h, u64 record);

/* What holds references is freed without recursion: it goes onto a stack, linked through itself, and `ra_drain` takes its
   references from it. The low bits of the stack's offsets say what lies there. */
enum {
    RA_DROP_PAYLOAD = 0, /* a payload block, linked through `stream` */
    RA_DROP_ENTRY = 1,   /* an entry with the payload behind it, linked through `link` */
    RA_DROP_RECORD = 2,  /* a record, linked through `next` */
    RA_DROP_KIND = 3,
};

/* References in a payload, none where it is damaged. */
static inline u32 ra_payload_refs(ra_heap *h, u64 payload) {
    if (!ra_inside(h, payload, sizeof(ra_payload))) return 0;
    u32 n = ra_payload_at(h, payload)->n_refs;
    return ra_inside(h, payload, sizeof(ra_payload) + 8 * (u64)n) ? n : 0;
}

/* Where the in-band stream of a payload lies, and its length; 0 where the payload is damaged. */
static inline u64 ra_payload_stream(ra_heap *h, u64 payload, u64 *length) {
    if (!ra_inside(h, payload, sizeof(ra_payload))) return 0;
    ra_payload *p = ra_payload_at(h, payload);
    u64 head = sizeof(ra_payload) + 8 * (u64)p->n_refs + 16 * (u64)p->n_bufs, size = p->stream;
    *length = size;
    return size <= h->super->bytes && ra_inside(h, payload, head + size) ? payload + head : 0;
}

static inline void ra_payload_push(ra_heap *h, u64 payload, u64 *stack) {
    if (ra_payload_refs(h, payload) == 0) {
        ra_free(h, payload);
        return;
    }
    ra_payload_at(h, payload)->stream = *stack;
    *stack = payload | RA_DROP_PAYLOAD;
}

static inline int ra_has_payload(u64 w) {
    return RA_FORMAT(w) >= RA_F_BYTES && RA_FORMAT(w) != RA_F_ACTOR && (RA_STATE(w) == RA_VALUE || RA_STATE(w) == RA_ERROR);
}

static inline void ra_payload_refs_drop(ra_heap *h, u64 payload, u64 *stack) {
    u32 n = ra_payload_refs(h, payload);
    u64 *refs = (u64 *)(ra_payload_at(h, payload) + 1);
    for (u32 i = 0; i < n; i++)
        if (ra_entry_check(h, refs[i])) ra_unpin_into(h, refs[i], stack);
}

/* The value of an entry that has no references left. */
static inline void ra_entry_clear(ra_heap *h, u64 entry, u64 w, u64 *stack) {
    ra_entry *e = ra_entry_at(h, entry);
    if (ra_has_payload(w)) {
        if (!(RA_FLAGS(w) & RA_EF_EMBEDDED))
            ra_payload_push(h, e->payload, stack);
        else if (ra_payload_refs(h, e->payload)) {
            e->link = *stack;
            *stack = entry | RA_DROP_ENTRY;
            return;
        }
    } else if (RA_STATE(w) == RA_SPILLED) { /* the node frees it together with the file */
        ra_event(h, RA_EV_LOST, entry);
        return;
    }
    if (RA_FLAGS(w) & RA_EF_IN_RECORD)
        ra_record_unlive(h, ra_record_of(entry, e->index), stack);
    else
        ra_free(h, entry);
}

/* What comes after an item in its stream, which the item pins; the pin is the caller's from now on. */
static inline u64 ra_take_link(ra_heap *h, u64 entry) {
    ra_entry *e = ra_entry_at(h, entry);
    u64 next = e->link;
    e->link = 0;
    return next && ra_entry_check(h, next) ? next : 0;
}

static inline void ra_unpin_into(ra_heap *h, u64 entry, u64 *stack) {
    ra_entry *e = ra_entry_at(h, entry);
    for (;;) {
        u32 before = atomic_fetch_sub(&e->refs, 1);
        RA_ASSERT(before != 0);
        if (before > 2) return;
        u64 w = atomic_load(&e->word);
        if (RA_STATE(w) == RA_MAKING) return; /* its maker is dead, and what it made goes as a whole */
        if (RA_FORMAT(w) == RA_F_ACTOR) { /* the last but one is the node's own: what is left then is to be ended */
            ra_event(h, RA_EV_ACTOR_SCOPE, entry);
            return;
        }
        int unread = RA_FLAGS(w) & RA_EF_STREAM && RA_STATE(w) == RA_PENDING;
        if (before != 1) { /* of a stream's next item the producer's own reference is left */
            if (unread && !(RA_FLAGS(w) & RA_EF_IN_RECORD)) ra_stream_left(h, e->size);
            return;
        }
        do {
            if (RA_FLAGS(w) & RA_EF_DEAD) return;
        } while (!atomic_compare_exchange_weak(&e->word, &w, w | (u64)RA_EF_DEAD << 16));
        if (RA_STATE(w) == RA_PENDING || RA_STATE(w) == RA_BUSY) { /* whoever completes it sees DEAD and clears it */
            if (unread && RA_FLAGS(w) & RA_EF_IN_RECORD) ra_stream_left(h, ra_record_of(entry, e->index));
            return;
        }
        /* Unread items of a stream hang on each other; go along the chain here. */
        u64 next = ra_take_link(h, entry);
        ra_entry_clear(h, entry, w, stack);
        if (!next) return;
        entry = next;
        e = ra_entry_at(h, entry);
    }
}

/* A call keeps its actor until it is over, however long its results are kept. The creation, which the actor keeps, does not. */
static inline void ra_record_leave_actor(ra_heap *h, u64 record, u64 *stack) {
    ra_record *r = ra_record_at(h, record);
    u64 actor = r->actor;
    if (!actor || r->kind == RA_KIND_ACTOR_INIT) return;
    r->actor = 0; /* before the count: a kill in between leaks one reference */
    if (ra_entry_check(h, actor)) ra_unpin_into(h, actor, stack);
}

static inline void ra_record_drop(ra_heap *h, u64 record, u64 *stack) {
    ra_record *r = ra_record_at(h, record);
    if (r->args) ra_payload_refs_drop(h, r->args, stack);
    if (r->fn && ra_entry_check(h, r->fn)) ra_unpin_into(h, r->fn, stack);
    if (r->opts && ra_entry_check(h, r->opts)) ra_unpin_into(h, r->opts, stack);
    ra_record_leave_actor(h, record, stack);
    ra_free(h, record);
}

static inline void ra_drain(ra_heap *h, u64 *stack) {
    while (*stack) {
        u64 at = *stack & ~(u64)RA_DROP_KIND;
        /* What is freed already was on the stack twice: damaged memory, in which the rest cannot be distinguished from a circle. */
        if (!ra_block_start(h, at) || !atomic_load(RA_AT(h->base, au64, at))) return;
        switch (*stack & RA_DROP_KIND) {
            case RA_DROP_PAYLOAD:
                *stack = ra_payload_at(h, at)->stream;
                ra_payload_refs_drop(h, at, stack);
                ra_free(h, at);
                break;
            case RA_DROP_ENTRY:
                *stack = ra_entry_at(h, at)->link;
                ra_payload_refs_drop(h, ra_entry_at(h, at)->payload, stack);
                ra_free(h, at);
                break;
            default:
                *stack = atomic_load(&ra_record_at(h, at)->next);
                ra_record_drop(h, at, stack);
        }
    }
}

/* Give back the arguments of a task that is over, or is going. */
static inline void ra_record_free_args(ra_heap *h, u64 record, u64 *stack) {
    ra_record *r = ra_record_at(h, record);
    u64 args = r->args;
    if (!args) return;
    if (!(r->kflags & RA_KF_STREAM) && r->tail) { /* what ra_keep_args counted */
        atomic_fetch_sub(&h->super->lineage, r->tail);
        r->tail = 0;
    }
    r->args = 0;
    r->kflags |= RA_KF_ARGS_FREED;
    if (r->kflags & RA_KF_SEPARATE_ARGS)
        ra_payload_push(h, args, stack);
    else
        ra_payload_refs_drop(h, args, stack);
}

/* One thing less keeps the record: a return entry without references, a place in an overflow list, or the task itself
   when it is over. */
static inline void ra_record_unlive(ra_heap *h, u64 record, u64 *stack) {
    if (!ra_block_check(h, record, RA_CHUNK_REC)) return;
    ra_record *r = ra_record_at(h, record);
    u32 before = atomic_fetch_sub(&r->live, 1);
    RA_ASSERT(before != 0);
    if (before != 1) return;
    if (r->kflags & RA_KF_SEPARATE_ARGS) ra_record_free_args(h, record, stack);
    if (r->args && !(r->kflags & RA_KF_STREAM)) atomic_fetch_sub(&h->super->lineage, r->tail);
    atomic_store(&r->next, *stack);
    *stack = record | RA_DROP_RECORD;
}

static inline void ra_unpin(ra_heap *h, u64 entry) {
    u64 stack = 0;
    ra_unpin_into(h, entry, &stack);
    ra_drain(h, &stack);
}

/* ---- making ----

   A record in state NEW and an entry in state MAKING are not published: only their maker knows them, and the node, should
   it be killed. Their fields say what is pinned for them at each moment: a pin is counted, then noted. So a kill in between
   leaks one count, and everything else comes back. Only the compiler must keep the order; what a killed thread has done
   before is always seen. */

#define ra_in_order() atomic_signal_fence(memory_order_seq_cst)
#define ra_plain_store(place, value) atomic_store_explicit(place, value, memory_order_relaxed)

/* Count one more reference inside a payload that is being written. */
static inline void ra_payload_pin(ra_heap *h, u64 payload, u64 entry) {
    ra_payload *p = ra_payload_at(h, payload);
    atomic_fetch_add(&ra_entry_at(h, entry)->refs, 1);
    ((u64 *)(p + 1))[p->n_refs] = entry;
    ra_in_order();
    p->n_refs++;
    ra_in_order();
}

/* Begin a payload; `place`, a field of what it is for, says from now on that it is there. */
static inline void ra_payload_begin(ra_heap *h, u64 payload, u64 word, u64 *place) {
    ra_payload *p = ra_payload_at(h, payload);
    p->n_refs = 0;
    ra_in_order();
    ra_plain_store(&p->word, word);
    ra_in_order();
    *place = payload;
    ra_in_order();
}

/* Begin a record in a block that was just allocated: it pins nothing, and has no returns yet. */
static inline void ra_record_begin(ra_heap *h, u64 record, u64 seq, u32 gen, u32 kind, u32 kflags) {
    ra_record *r = ra_record_at(h, record);
    r->seq = seq;
    r->kind = (u8)kind;
    r->kflags = (u8)kflags;
    r->n_returns = 0;
    r->fn = r->args = r->opts = r->actor = r->tail = 0;
    ra_in_order();
    atomic_store_explicit(&r->word, RA_R_WORD(RA_REC_NEW, 0, 0, gen, h->slot), memory_order_release);
    ra_in_order();
}

/* Undo a record in state NEW. */
static inline void ra_record_abandon(ra_heap *h, u64 record) {
    u64 stack = 0;
    ra_record_free_args(h, record, &stack);
    ra_record_drop(h, record, &stack);
    ra_drain(h, &stack);
}

/* Publish a record in state NEW as WAITING or QUEUED. Noted meanwhile, so that a kill does not leave it out of its queue. */
static inline void ra_record_publish(ra_heap *h, u64 record, u32 state) {
    ra_record *r = ra_record_at(h, record);
    au64 *publishing = &(RA_AT(h->base, ra_proc, h->super->procs) + h->slot)->publishing;
    u32 gen = RA_R_GEN(atomic_load_explicit(&r->word, memory_order_relaxed));
    ra_plain_store(publishing, record);
    ra_in_order();
    atomic_store(&r->word, RA_R_WORD(state, 0, 0, gen, 0));
    if (state == RA_REC_QUEUED)
        ra_enqueue(h, record);
    else
        ra_event(h, RA_EV_WAITING, record);
    ra_in_order();
    ra_plain_store(publishing, 0);
}

/* Begin an entry, or an actor's, in a block that was just allocated; it has one reference, its maker's. */
static inline void ra_entry_begin(ra_heap *h, u64 entry, u64 seq, u32 gen, u32 format, u32 flags) {
    ra_entry *e = ra_entry_at(h, entry);
    e->seq = seq;
    e->payload = e->size = e->link = 0;
    ra_proc *own = RA_AT(h->base, ra_proc, h->super->procs) + h->slot;
    e->index = 0;
    e->owner = h->slot;
    e->job = own->job;
    ra_plain_store(&e->copies, (u32)1 << (own->node & 31));
    ra_plain_store(&e->refs, 1);
    ra_plain_store(&e->views, 0);
    ra_in_order();
    atomic_store_explicit(&e->word, RA_WORD(RA_MAKING, format, flags, gen, 0), memory_order_release);
    ra_in_order();
}

static inline void ra_entry_publish(ra_heap *h, u64 entry, u32 state) {
    au64 *word = &ra_entry_at(h, entry)->word;
    u64 w = atomic_load_explicit(word, memory_order_relaxed);
    ra_in_order();
    atomic_store(word, RA_WORD(state, RA_FORMAT(w), RA_FLAGS(w), RA_GEN(w), 0));
}

/* Undo an entry in state MAKING. */
static inline void ra_entry_abandon(ra_heap *h, u64 entry) {
    ra_entry *e = ra_entry_at(h, entry);
    u64 w = atomic_load(&e->word), stack = 0;
    if (RA_FORMAT(w) == RA_F_ACTOR) {
        ra_actor *a = (ra_actor *)e;
        ra_queue_free(h, a->queue);
        if (a->spec && ra_entry_check(h, a->spec)) ra_unpin_into(h, a->spec, &stack);
    } else if (RA_FORMAT(w) >= RA_F_BYTES && e->payload) {
        if (RA_FLAGS(w) & RA_EF_EMBEDDED)
            ra_payload_refs_drop(h, e->payload, &stack);
        else
            ra_payload_push(h, e->payload, &stack);
    }
    ra_free(h, entry);
    ra_drain(h, &stack);
}

static inline void ra_release(ra_heap *h, u64 entry, u64 slot) {
    RA_ASSERT(atomic_load(RA_AT(h->base, au64, slot)) == (entry | RA_HOLD_HELD));
    atomic_store(RA_AT(h->base, au64, slot), entry | RA_HOLD_CHANGING);
    ra_unpin(h, entry);
    ra_hold_return(h, slot);
}

/* ---- completion ---- */

static inline void ra_notify_multi(ra_heap *h) {
    u32 n = atomic_load(&h->super->n_waiters);
    for (u32 i = 0; i < n && i < RA_MAX_WAITERS; i++) {
        ra_waiter *w = ra_waiter_at(h, i);
        if (!atomic_load(&w->multi)) continue;
        atomic_store(&w->rescan, 1);
        atomic_store(&w->need, 0);
        ra_wake(h, i);
    }
}

static inline void ra_notify(ra_heap *h, u64 entry, u64 w, int urgent) {
    if (RA_FLAGS(w) & RA_EF_MULTI) {
        ra_notify_multi(h);
        return;
    }
    if (RA_WATCHER(w) == 0 || RA_WATCHER(w) > RA_MAX_WAITERS) return;
    u32 index = RA_WATCHER(w) - 1;
    ra_waiter *waiter = ra_waiter_at(h, index);
    if (atomic_load(&waiter->kind) == RA_WAITER_LOOP) {
        u64 ring = waiter->queue;
        if (!ra_is_loop_ring(h, ring) || !ra_ring_push(RA_AT(h->base, ra_queue, ring), RA_LOOP_RING_LOG2, entry, RA_GEN(w)))
            atomic_store(&waiter->rescan, 1);
        ra_wake(h, index);
    } else if (urgent) { /* also for one who is about to sleep */
        atomic_store(&waiter->need, 0);
        ra_wake(h, index);
    } else if (atomic_fetch_sub(&waiter->need, 1) <= 1)
        ra_wake(h, index);
}

/* The bit of this process's logical node in an entry's `copies`. */
static inline u32 ra_node_bit(ra_heap *h) { return (u32)1 << ((RA_AT(h->base, ra_proc, h->super->procs) + h->slot)->node & 31); }

/* This process has read a value, or waited for it: its logical node counts as having a copy. */
static inline void ra_note_copy(ra_heap *h, u64 entry) {
    ra_entry *e = ra_entry_at(h, entry);
    u32 bit = ra_node_bit(h);
    if (!(atomic_load(&e->copies) & bit)) atomic_fetch_or(&e->copies, bit);
}

/* Give a pending entry its outcome. The payload is set before the word, which publishes it. Returns 0 if it had one already.
   One process at a time may complete an entry: the one that claimed its record, or the node for one that is dead. */
static inline int ra_complete(ra_heap *h, u64 entry, u32 state, u32 format, u32 flags, u64 payload, u64 size) {
    ra_entry *e = ra_entry_at(h, entry);
    u64 w = atomic_load(&e->word), next;
    if (RA_STATE(w) != RA_PENDING) return 0;
    e->payload = payload;
    e->size = size;
    ra_plain_store(&e->copies, ra_node_bit(h));
    do {
        if (RA_STATE(w) != RA_PENDING) return 0;
        next = RA_WORD(state, format, (RA_FLAGS(w) & ~(u32)RA_EF_MULTI) | flags, RA_GEN(w), 0);
    } while (!atomic_compare_exchange_weak(&e->word, &w, next));
    if (RA_FLAGS(w) & RA_EF_DEAD) {
        u64 stack = 0, link = ra_take_link(h, entry);
        ra_entry_clear(h, entry, next, &stack);
        if (link) ra_unpin_into(h, link, &stack);
        ra_drain(h, &stack);
        return 1;
    }
    ra_notify(h, entry, w, state != RA_VALUE);
    return 1;
}

/* Ask for a wake-up of waiter `index` when the entry completes. Returns 0 if it is complete already. */
static inline int ra_watch(ra_heap *h, u64 entry, u32 index) {
    ra_entry *e = ra_entry_at(h, entry);
    u64 w = atomic_load(&e->word);
    for (;;) {
        u64 next = w;
        if (RA_STATE(w) != RA_PENDING && RA_STATE(w) != RA_BUSY && RA_STATE(w) != RA_SPILLED) return 0;
        if (RA_WATCHER(w) == index + 1) {
            if (!(RA_FLAGS(w) & RA_EF_MULTI)) return 1;
            atomic_store(&ra_waiter_at(h, index)->multi, 1);
            return RA_STATE(atomic_load(&e->word)) == RA_STATE(w);
        }
        if (RA_WATCHER(w) == 0 || RA_WATCHER(w) > RA_MAX_WAITERS)
            next = (w & (((u64)1 << 40) - 1)) | (u64)(index + 1) << 40;
        else {
            atomic_store(&ra_waiter_at(h, index)->multi, 1);
            atomic_store(&ra_waiter_at(h, RA_WATCHER(w) - 1)->multi, 1);
            if (RA_FLAGS(w) & RA_EF_MULTI) return RA_STATE(atomic_load(&e->word)) == RA_STATE(w);
            next |= (u64)RA_EF_MULTI << 16;
        }
        if (atomic_compare_exchange_weak(&e->word, &w, next)) return 1;
    }
}

/* Whether a finished task's arguments stay, to run it again should its result be lost: as long as the budget allows, and
   in any case while views of them exist (their pin is on the first return). */
static inline int ra_keep_args(ra_heap *h, u64 record) {
    ra_record *r = ra_record_at(h, record);
    if (!r->args) return 1;
    int viewed = r->n_returns && atomic_load(&r->returns[0].views);
    if (r->kind != RA_KIND_TASK || r->kflags & RA_KF_STREAM) return viewed;
    if (!ra_inside(h, r->args, sizeof(ra_payload))) return viewed;
    ra_payload *p = ra_payload_at(h, r->args);
    u64 *refs = (u64 *)(p + 1), bytes = 0;
    if (r->kflags & RA_KF_SEPARATE_ARGS) bytes += p->stream + RA_CHUNK * p->n_bufs;
    for (u32 i = 0, n = ra_payload_refs(h, r->args); i < n; i++) {
        if (!ra_entry_check(h, refs[i])) continue;
        /* A handle among them would keep its actor alive for as long as the result is kept. */
        if (RA_FORMAT(atomic_load(&ra_entry_at(h, refs[i])->word)) == RA_F_ACTOR) return viewed;
        bytes += ra_entry_at(h, refs[i])->size;
    }
    if (bytes == 0) return 1;
    if (atomic_fetch_add(&h->super->lineage, bytes) + bytes > h->super->lineage_limit && !viewed) {
        atomic_fetch_sub(&h->super->lineage, bytes);
        return 0;
    }
    r->tail = bytes;
    return 1;
}

/* Change a record's word from `*seen` to one in state QUEUED, and queue it. Returns 0, and sets `*seen`, when the word is
   another one. The record is kept meanwhile: as soon as the word says QUEUED, someone may cancel and free it. */
static inline int ra_queue_record(ra_heap *h, u64 record, u64 *seen, u64 word) {
    ra_record *r = ra_record_at(h, record);
    u64 stack = 0;
    atomic_fetch_add(&r->live, 1);
    int queued = atomic_compare_exchange_strong(&r->word, seen, word);
    if (queued) ra_enqueue(h, record);
    ra_record_unlive(h, record, &stack);
    ra_drain(h, &stack);
    return queued;
}

/* A task is over: DONE or CANCELLED, from RUNNING by us (or from any state, for the node). */
static inline int ra_record_finish(ra_heap *h, u64 record, u32 state, int keep_args) {
    ra_record *r = ra_record_at(h, record);
    u64 w = atomic_load(&r->word), stack = 0;
    do {
        if (RA_R_STATE(w) >= RA_REC_DONE || RA_R_STATE(w) == 0) return 0;
    } while (!atomic_compare_exchange_weak(&r->word, &w, RA_R_WORD(state, RA_R_FLAGS(w), RA_R_ATTEMPT(w), RA_R_GEN(w), RA_R_RUNNER(w))));
    if (!keep_args) ra_record_free_args(h, record, &stack);
    ra_record_leave_actor(h, record, &stack);
    ra_record_unlive(h, record, &stack);
    ra_drain(h, &stack);
    return 1;
}

#include "cancels.h" /* what the freeing above asks for */

#endif
