/* Bounded lock-free queues of records, completion rings, and the waking of those who wait.
 *
 * Nobody ever owns a claimed but unpublished cell: producers publish by compare-and-swap on the cell itself and then help
 * the tail forward, consumers claim the *record*, clear the cell and help the head forward. A process killed or stopped
 * at any instruction therefore blocks nobody. Cells carry a lap, so that a slow process cannot write into a later one.
 */
#ifndef RA_QUEUE_H
#define RA_QUEUE_H

#include "heap.h"

#define RA_CELL(offset, gen, lap) ((u64)((offset) >> 6) << 32 | (u64)((gen)&0xffff) << 16 | (u64)((lap)&0xffff))
#define RA_CELL_OFFSET(c) ((u64)((c) >> 32) << 6)
#define RA_CELL_GEN(c) ((u32)((c) >> 16 & 0xffff))
#define RA_CELL_LAP(c) ((u32)((c)&0xffff))

/* In place of an offset: the ring takes no more, what follows is in the next one. */
#define RA_CELL_CLOSED ((u64)0xffffffff << 6)

/* A queue of one ring, which grows by further ones up to `most`; or a further ring of the queue `home`. */
static inline void ra_ring_init(ra_queue *q, u32 log2, u32 most, u64 home) {
    memset((u8 *)q + sizeof(u64), 0, sizeof *q - sizeof(u64));
    q->mask = (1u << log2) - 1;
    q->log2 = log2;
    q->most = most;
    q->home = home;
    for (u32 i = 0; i <= q->mask; i++) atomic_store_explicit(&q->cells[i], RA_CELL(0, 0, 0), memory_order_relaxed);
    atomic_store(&q->word, 1);
}

static inline void ra_queue_init_growing(ra_queue *q, u32 log2, u32 most) { ra_ring_init(q, log2, most, 0); }
static inline void ra_queue_init(ra_queue *q, u32 log2) { ra_ring_init(q, log2, log2, 0); }

#define RA_QUEUE_MAX_LOG2 20
#define RA_QUEUE_STEP 4 /* log2 of how much larger the next ring is */
#define RA_EVENTS_LOG2 16
static inline u64 ra_queue_bytes(u32 log2) { return sizeof(ra_queue) + ((u64)8 << log2); }

static inline u64 ra_ring_length(ra_queue *q) {
    u64 head = atomic_load(&q->head), tail = atomic_load(&q->tail);
    return tail > head ? tail - head : 0;
}

/* The ra_ring functions are given the size of the ring and follow nothing that lies in it, so that damage cannot lead them
   out of it: for rings whose size is fixed. The ra_queue functions below read it. */

/* What becomes of the last free cell. Of a ring that has a successor, or may get one, each push must know that a cell can be
   the mark of the end. */
enum {
    RA_LAST_TAKE = 0,  /* it is a cell like all others; the ring has no mark */
    RA_LAST_SPARE = 1, /* the push does not take it */
    RA_LAST_CLOSE = 2, /* it becomes the mark */
    RA_LAST_USE = 3,   /* as TAKE, in a ring that may have the mark */
};
enum { RA_PUSH_NEARLY_FULL = -1, RA_PUSH_CLOSED = -2 };

/* Whether the place still has what the lap before has put there. */
static inline int ra_ring_is_taken(ra_queue *q, u32 log2, u64 at) {
    u64 seen = atomic_load(&q->cells[at & (((u64)1 << log2) - 1)]);
    return ((RA_CELL_LAP(seen) - (u32)(at >> log2)) & 0xffff) == 0xffff;
}

/* Returns 1, 0 when the ring is full, or one of the two above.

   The mark holds the place of the tail, which does not move on: each cell before it was published, so no producer that was
   stopped can publish behind the consumers' backs. Whether a cell is the last free one is known by the cell behind it, which
   stays empty, once it was emptied, until the tail has come by. To read the head would cost each push a cache line that
   consumers write. */
static inline int ra_ring_put(ra_queue *q, u32 log2, u64 offset, u32 gen, int last) {
    const u64 mask = ((u64)1 << log2) - 1;
    for (;;) {
        u64 tail = atomic_load(&q->tail);
        u32 lap = (u32)(tail >> log2);
        au64 *cell = &q->cells[tail & mask];
        u64 seen = atomic_load(cell);
        if (tail != atomic_load(&q->tail)) continue;
        u32 ahead = (RA_CELL_LAP(seen) - lap) & 0xffff;
        if (ahead == 1) { /* published and taken already, by processes that stopped before they moved the tail: help */
            atomic_compare_exchange_strong(&q->tail, &tail, tail + 1);
            continue;
        }
        if (ahead != 0) {
            if (ahead == 0xffff && tail - atomic_load(&q->head) > mask) return 0; /* still holds the value of the lap before */
            /* The head is past the place, so its cell was cleared since we looked, or never held what a queue writes. */
            atomic_compare_exchange_strong(cell, &seen, RA_CELL(0, 0, lap));
            continue;
        }
        if (last != RA_LAST_TAKE && RA_CELL_OFFSET(seen) == RA_CELL_CLOSED) return RA_PUSH_CLOSED;
        if (RA_CELL_OFFSET(seen) == 0) {
            u64 put = RA_CELL(offset, gen, lap);
            if ((last == RA_LAST_SPARE || last == RA_LAST_CLOSE) && ra_ring_is_taken(q, log2, tail + 1)) {
                if (last == RA_LAST_SPARE) return RA_PUSH_NEARLY_FULL;
                put = RA_CELL(RA_CELL_CLOSED, 0, lap);
            }
            if (!atomic_compare_exchange_strong(cell, &seen, put)) continue;
            if (RA_CELL_OFFSET(put) == RA_CELL_CLOSED) return RA_PUSH_CLOSED;
            atomic_compare_exchange_strong(&q->tail, &tail, tail + 1);
            return 1;
        }
        atomic_compare_exchange_strong(&q->tail, &tail, tail + 1); /* help whoever published here */
    }
}

/* Returns 1, or 0 when the ring is full. */
static inline int ra_ring_push(ra_queue *q, u32 log2, u64 offset, u32 gen) { return ra_ring_put(q, log2, offset, gen, RA_LAST_TAKE); }

static inline int ra_ring_drop(ra_queue *q, u32 log2, u64 at, u64 cell);

/* The oldest cell, or 0 when the queue is empty; *at is its place, for ra_ring_drop. */
static inline u64 ra_ring_peek(ra_queue *q, u32 log2, u64 *at) {
    const u64 mask = ((u64)1 << log2) - 1;
    for (;;) {
        u64 head = atomic_load(&q->head);
        u32 lap = (u32)(head >> log2);
        u64 seen = atomic_load(&q->cells[head & mask]);
        if (head != atomic_load(&q->head)) continue;
        u32 ahead = (RA_CELL_LAP(seen) - lap) & 0xffff;
        if (ahead == 1) { /* cleared already: help */
            atomic_compare_exchange_strong(&q->head, &head, head + 1);
            continue;
        }
        if (ahead != 0) { /* nothing that a queue writes: clear it, so that a damaged cell costs one record at most */
            ra_ring_drop(q, log2, head, seen);
            continue;
        }
        if (RA_CELL_OFFSET(seen) == 0) return 0;
        *at = head;
        return seen;
    }
}

static inline int ra_ring_drop(ra_queue *q, u32 log2, u64 at, u64 cell) {
    u32 lap = (u32)(at >> log2);
    int mine = atomic_compare_exchange_strong(&q->cells[at & (((u64)1 << log2) - 1)], &cell, RA_CELL(0, 0, lap + 1));
    /* The tail may lag behind a producer that stopped between publishing and moving it. */
    u64 tail = at;
    atomic_compare_exchange_strong(&q->tail, &tail, at + 1);
    u64 head = at;
    atomic_compare_exchange_strong(&q->head, &head, at + 1);
    return mine;
}

/* Plain values instead of records: events and completions. A single consumer. */
static inline u64 ra_ring_take(ra_queue *q, u32 log2) {
    for (;;) {
        u64 at, cell = ra_ring_peek(q, log2, &at);
        if (cell == 0) return 0;
        if (ra_ring_drop(q, log2, at, cell)) return cell;
    }
}

/* For the single consumer that found the ring empty: let the tail meet the head again when damage has parted them. Returns
   whether it had, and cells may be lost.

   The tail passes a place only after its cell was published, and only the consumer clears it; the tail never lags behind
   the head, since whoever moves the head has moved the tail. Any other state is nothing that a queue makes. */
static inline int ra_ring_mend(ra_queue *q, u32 log2) {
    u64 tail = atomic_load(&q->tail), head = atomic_load(&q->head);
    u64 seen = atomic_load(&q->cells[head & (((u64)1 << log2) - 1)]);
    if (tail == head || RA_CELL_OFFSET(seen) != 0 || RA_CELL_LAP(seen) != ((u32)(head >> log2) & 0xffff)) return 0;
    return atomic_compare_exchange_strong(&q->tail, &tail, head);
}

static inline u32 ra_queue_log2(ra_queue *q) {
    u32 log2 = q->log2;
    return log2 <= RA_QUEUE_MAX_LOG2 ? log2 : 0;
}

/* Whether a queue lies at `offset`: for offsets that another process wrote. */
static inline int ra_queue_check(ra_heap *h, u64 offset) {
    if (!ra_block_check(h, offset, RA_CHUNK_OBJ)) return 0;
    ra_queue *q = RA_AT(h->base, ra_queue, offset);
    u32 log2 = q->log2;
    return atomic_load(&q->word) == 1 && log2 <= RA_QUEUE_MAX_LOG2 && q->mask == (1u << log2) - 1 &&
           ra_queue_bytes(log2) <= ra_block_bytes(h, offset);
}

/* ---- queues that grow ---- */

static inline u32 ra_queue_most(ra_queue *q) {
    u32 most = q->most;
    return most <= RA_QUEUE_MAX_LOG2 ? most : 0;
}

/* The ring of a queue at an offset from another process's word; the first where it lies nowhere or is another queue's. For each
   push and pop, so without a look at the chunk. */
static inline ra_queue *ra_ring_at(ra_heap *h, ra_queue *q, u64 offset) {
    ra_super *s = h->super;
    u64 end = s->data + ((u64)s->n_chunks << RA_CHUNK_SHIFT);
    if (offset < s->data || offset % 64 || offset >= end || sizeof(ra_queue) > end - offset) return q;
    ra_queue *ring = RA_AT(h->base, ra_queue, offset);
    if (atomic_load(&ring->word) != 1 || ring->home != (u64)((u8 *)q - h->base)) return q;
    return ra_queue_bytes(ra_queue_log2(ring)) <= end - offset ? ring : q;
}

/* The ring behind another one, or 0. Rings grow, so that no damage makes a circle of them. */
static inline u64 ra_ring_next(ra_heap *h, ra_queue *ring) {
    u64 next = atomic_load(&ring->next);
    return next && ra_queue_check(h, next) && ra_queue_log2(RA_AT(h->base, ra_queue, next)) > ra_queue_log2(ring) ? next : 0;
}

/* Records in a queue, those in its overflow not counted. */
static inline u64 ra_queue_length(ra_heap *h, ra_queue *q) {
    ra_queue *ring = ra_ring_at(h, q, atomic_load(&q->popping));
    u64 n = ra_ring_length(ring), next;
    while (atomic_load(&ring->next) && (next = ra_ring_next(h, ring))) {
        ring = RA_AT(h->base, ra_queue, next);
        n += ra_ring_length(ring);
    }
    return n;
}

/* Hang a larger ring behind the last one; returns its offset, or 0 when there is no room. Noted meanwhile: should this process
   be killed, the node takes back what did not get there. */
static inline u64 ra_queue_grow(ra_heap *h, ra_queue *q, ra_queue *ring) {
    u32 log2 = ra_queue_log2(ring) + RA_QUEUE_STEP, most = ra_queue_most(q);
    u64 none = atomic_load(&ring->next), made = ra_ring_next(h, ring);
    if (made) return made; /* another producer was quicker, and `none` below may be its ring */
    if (log2 > most) log2 = most;
    made = ra_alloc(h, RA_CHUNK_OBJ, ra_queue_bytes(log2));
    if (!made) return 0;
    ra_queue *larger = RA_AT(h->base, ra_queue, made);
    au64 *growing = &(RA_AT(h->base, ra_proc, h->super->procs) + h->slot)->growing;
    atomic_store_explicit(growing, made, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    ra_ring_init(larger, log2, log2, (u64)((u8 *)q - h->base));
    int hung = atomic_compare_exchange_strong(&ring->next, &none, made);
    if (!hung) atomic_store(&larger->word, 0);
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(growing, 0, memory_order_relaxed);
    if (hung) return made;
    ra_free(h, made);
    return ra_ring_next(h, ring);
}

/* Returns 1, or 0 when the queue is full. */
static inline int ra_queue_push(ra_heap *h, ra_queue *q, u64 offset, u32 gen) {
    u64 at = atomic_load(&q->pushing);
    ra_queue *ring = ra_ring_at(h, q, at);
    for (;;) {
        u32 log2 = ra_queue_log2(ring);
        if (log2 >= ra_queue_most(q)) return ra_ring_push(ring, log2, offset, gen);
        u64 next = ra_ring_next(h, ring);
        int done = ra_ring_put(ring, log2, offset, gen, next ? RA_LAST_CLOSE : RA_LAST_SPARE);
        if (done == RA_PUSH_NEARLY_FULL) {
            if (ra_queue_grow(h, q, ring)) continue;
            done = ra_ring_put(ring, log2, offset, gen, RA_LAST_USE); /* no room for another ring: this one goes round */
        }
        if (done != RA_PUSH_CLOSED) return done;
        if (!next && !(next = ra_ring_next(h, ring))) return 0;
        atomic_compare_exchange_strong(&q->pushing, &at, next);
        at = next;
        ring = RA_AT(h->base, ra_queue, next);
    }
}

/* Take the oldest record in state QUEUED: it becomes RUNNING by `slot`. Returns its offset, or 0 when there is none. */
static inline u64 ra_queue_pop(ra_heap *h, ra_queue *q) {
    u64 from = atomic_load(&q->popping);
    ra_queue *ring = ra_ring_at(h, q, from);
    u32 log2 = ra_queue_log2(ring);
    for (;;) {
        u64 at, cell = ra_ring_peek(ring, log2, &at);
        if (cell == 0) return 0;
        u64 offset = RA_CELL_OFFSET(cell);
        if (offset == RA_CELL_CLOSED && log2 < ra_queue_most(q)) {
            u64 next = ra_ring_next(h, ring);
            if (!next) return 0;
            atomic_compare_exchange_strong(&q->popping, &from, next);
            from = next;
            ring = RA_AT(h->base, ra_queue, next);
            log2 = ra_queue_log2(ring);
            continue;
        }
        int won = 0;
        if (ra_block_check(h, offset, RA_CHUNK_REC)) {
            ra_record *r = RA_AT(h->base, ra_record, offset);
            u64 w = atomic_load(&r->word);
            while (RA_R_STATE(w) == RA_REC_QUEUED && RA_R_GEN(w) == RA_CELL_GEN(cell)) {
                u64 next = (w & ~0xffull & 0xffffffffffffull) | RA_REC_RUNNING | (u64)h->slot << 48;
                if (atomic_compare_exchange_weak(&r->word, &w, next)) {
                    won = 1;
                    break;
                }
            }
        }
        ra_ring_drop(ring, log2, at, cell);
        if (won) return offset;
    }
}

/* Free a queue that nobody looks at any more, with all of its rings. */
static inline void ra_queue_free(ra_heap *h, u64 queue) {
    if (!ra_queue_check(h, queue)) return;
    u64 next = ra_ring_next(h, RA_AT(h->base, ra_queue, queue));
    ra_free(h, queue);
    while (next) {
        u64 at = next;
        next = ra_ring_next(h, RA_AT(h->base, ra_queue, at));
        ra_free(h, at);
    }
}

/* ---- wake-ups ---- */

static inline ra_waiter *ra_waiter_at(ra_heap *h, u32 index) { return RA_AT(h->base, ra_waiter, h->super->waiters) + index; }

/* Loops are woken by a datagram to the socket w<index> in the session's directory. */
static inline void ra_wake_loop(ra_heap *h, u32 index) {
    struct sockaddr_un a;
    if (h->wake_socket < 0) {
        h->wake_socket = socket(AF_UNIX, SOCK_DGRAM, 0);
        if (h->wake_socket < 0) {
            /* No descriptor left: the loop finds out at its next look at the ring, which is bounded in time. */
            return;
        }
        fcntl(h->wake_socket, F_SETFD, FD_CLOEXEC);
    }
    memset(&a, 0, sizeof a);
    a.sun_family = AF_UNIX;
    snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/w%u", h->directory, index);
    /* A full socket buffer means that the loop has a wake-up waiting already. */
    (void)!sendto(h->wake_socket, "w", 1, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&a, sizeof a);
}

static inline int ra_wake(ra_heap *h, u32 index) {
    ra_waiter *w = ra_waiter_at(h, index);
    if (atomic_load_explicit(&w->armed, memory_order_seq_cst) == 0 || atomic_exchange(&w->armed, 0) == 0) return 0;
    if (atomic_load_explicit(&w->kind, memory_order_relaxed) == RA_WAITER_LOOP)
        ra_wake_loop(h, index);
    else
        ra_futex_wake(&w->armed);
    return 1;
}

/* Leave an event for the node. The argument is an offset, a size, a slot or a class; a size that no cell can hold is cut. */
static inline void ra_event(ra_heap *h, u32 kind, u64 argument) {
    ra_super *s = h->super;
    u64 units = argument >> ra_event_shift(kind);
    if (units > RA_EVENT_MOST) units = RA_EVENT_MOST;
    if (!ra_ring_push(RA_AT(h->base, ra_queue, s->events), RA_EVENTS_LOG2, (units + 1) << 6, kind)) /* offset 0 would say empty */
        atomic_store(&s->node_rescan, 1);
    u32 node = atomic_load(&s->node_waiter);
    if (node) ra_wake(h, node - 1);
}

/* This worker waits, and its CPU goes to others until it is taken back; each of its threads and loops may do so. */
static inline void ra_lend_cpu(ra_heap *h) {
    ra_proc *p = RA_AT(h->base, ra_proc, h->super->procs) + h->slot;
    if (atomic_fetch_add(&p->blocked, 1) == 0) ra_event(h, RA_EV_BLOCKED, h->slot);
}

static inline void ra_retake_cpu(ra_heap *h) {
    ra_proc *p = RA_AT(h->base, ra_proc, h->super->procs) + h->slot;
    if (atomic_fetch_sub(&p->blocked, 1) == 1) ra_event(h, RA_EV_UNBLOCKED, h->slot);
}

/* Wake one sleeping worker of the queue; when none sleeps, ring the class's doorbell, once until the node answers. */
static inline void ra_queue_wake(ra_heap *h, ra_queue *q) {
    ra_fence();
    /* `sleepers` is a hint: whoever finds it takes it, wakes one, and puts it back when more sleep. Who misses it because of
       that rings the doorbell, and the node looks again. */
    if (atomic_load(&q->sleepers) && atomic_exchange(&q->sleepers, 0)) {
        int woken = 0;
        u32 n = atomic_load(&q->n_waiters);
        for (u32 i = 0; i < n && i < RA_QUEUE_WAITERS; i++) {
            u32 w = atomic_load(&q->waiters[i]);
            if (w == 0 || w > RA_MAX_WAITERS) continue;
            if (!woken)
                woken = ra_wake(h, w - 1);
            else if (atomic_load(&ra_waiter_at(h, w - 1)->armed)) {
                atomic_store(&q->sleepers, 1);
                break;
            }
        }
        if (woken) return;
    }
    if (q->actor == 0 && atomic_load(&q->doorbell) == 0 && atomic_exchange(&q->doorbell, 1) == 0) ra_event(h, RA_EV_DEMAND, q->cls);
}

/* Queue a record whose state is QUEUED. */
static inline void ra_enqueue(ra_heap *h, u64 offset) {
    ra_record *r = RA_AT(h->base, ra_record, offset);
    if (!ra_queue_check(h, r->queue)) return; /* a damaged record: nobody could find it */
    ra_queue *q = RA_AT(h->base, ra_queue, r->queue);
    u32 gen = RA_R_GEN(atomic_load(&r->word));
    if (atomic_load(&q->overflowing) || !ra_queue_push(h, q, offset, gen)) {
        atomic_fetch_add(&r->live, 1); /* the list keeps the record, should it be cancelled meanwhile; ra_refill gives that back */
        u64 top = atomic_load(&q->overflow);
        do atomic_store(&r->next, top);
        while (!atomic_compare_exchange_weak(&q->overflow, &top, offset));
        if (atomic_exchange(&q->overflowing, 1) == 0) ra_event(h, RA_EV_OVERFLOW, r->queue);
    }
    ra_queue_wake(h, q);
}

#endif
