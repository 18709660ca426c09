/* Submitters, workers, the node and cancellers, as threads on one mapping: whatever the order of their steps, each object
 * completes once, each waiter is told, and at the end every count and every block is back where it began. */
#include <pthread.h>

#include "arena.h"

enum { SUBMITTERS = 3, RUNNERS = 3, BATCH = 24, SHARED = 4, FIRST_LOG2 = 2, QUEUE_LOG2 = 4, PASSED = 16 };

static int rounds = 150; /* of a batch each */
static u64 queue, shared[SHARED];
static au64 passed[PASSED]; /* entries on their way to another thread, with a count of their own */
static _Atomic int submitting, running, completed, cancelled, settled;

/* A payload that pins one shared object; in `at`, or in a block of its own. */
static u64 make_payload(ra_heap *h, u64 at, u32 pick) {
    u64 payload = at ? at : ra_alloc(h, RA_CHUNK_DATA, sizeof(ra_payload) + 8);
    assert(payload);
    ra_payload *p = ra_payload_at(h, payload);
    atomic_store(&p->word, RA_PAYLOAD_BUILDING);
    atomic_fetch_add(&ra_entry_at(h, shared[pick % SHARED])->refs, 1);
    *(u64 *)(p + 1) = shared[pick % SHARED];
    p->n_refs = 1;
    p->n_bufs = 0;
    p->stream = 0;
    atomic_store(&p->word, RA_PAYLOAD_READY);
    return payload;
}

static void discard_payload(ra_heap *h, u64 payload) {
    ra_unpin(h, *(u64 *)(ra_payload_at(h, payload) + 1));
    ra_free(h, payload);
}

static u64 make_shared(ra_heap *h) {
    u64 entry = ra_alloc(h, RA_CHUNK_OBJ, sizeof(ra_entry));
    ra_entry *e = ra_entry_at(h, entry);
    atomic_store(&e->refs, 1);
    e->seq = ra_next_seq(h);
    e->size = 200;
    atomic_store(&e->word, RA_WORD(RA_VALUE, RA_F_INT, 0, 1, 0));
    return entry;
}

/* What Template.submit does: a record of one return, its arguments inside, its block or a block of their own. */
static u64 submit(ra_heap *h, u32 random) {
    u64 base_size = sizeof(ra_record) + sizeof(ra_entry);
    u64 record = ra_alloc(h, RA_CHUNK_REC, base_size + sizeof(ra_payload) + 8);
    assert(record);
    ra_record *r = ra_record_at(h, record);
    r->seq = ra_next_seq(h);
    u32 gen = (u32)(r->seq ^ r->seq >> 16) & 0xffff;
    atomic_store(&r->word, RA_R_WORD(RA_REC_NEW, 0, 0, gen, h->slot));
    atomic_store(&r->live, 2);
    r->kind = RA_KIND_TASK;
    r->kflags = random & 1 ? RA_KF_SEPARATE_ARGS : 0;
    r->n_returns = 1;
    r->parent = r->parent_seq = r->fn = r->opts = r->actor = r->tail = 0;
    r->args = make_payload(h, random & 1 ? 0 : record + base_size, random >> 1);
    r->queue = queue;
    atomic_store(&r->next, 0);
    atomic_store(&r->retries, 1);
    ra_entry *e = &r->returns[0];
    atomic_store(&e->refs, 1);
    atomic_store(&e->views, 0);
    e->payload = e->size = e->link = 0;
    e->seq = r->seq;
    e->index = 0;
    atomic_store(&e->word, RA_WORD(RA_PENDING, 0, RA_EF_IN_RECORD, gen, 0));
    atomic_store(&r->word, RA_R_WORD(RA_REC_QUEUED, 0, 0, gen, 0));
    ra_enqueue(h, record);
    return record + sizeof(ra_record);
}

static void complete(ra_heap *h, u64 entry, u32 state, u32 random) {
    u64 payload = make_payload(h, 0, random);
    if (!ra_complete(h, entry, state, RA_F_FAST, 0, payload, sizeof(ra_payload) + 8)) discard_payload(h, payload);
}

/* What cancellation.cancel does, for a record that an entry held by the caller keeps. */
static void cancel(ra_heap *h, u64 entry, u32 random) {
    u64 record = entry - sizeof(ra_record);
    ra_record *r = ra_record_at(h, record);
    u64 w = atomic_load(&r->word);
    for (;;) {
        u32 state = RA_R_STATE(w), flags = RA_R_FLAGS(w) | RA_RF_CANCEL;
        if (state >= RA_REC_DONE) return;
        if (state == RA_REC_RUNNING) {
            if (atomic_compare_exchange_weak(&r->word, &w, RA_R_WORD(state, flags, RA_R_ATTEMPT(w), RA_R_GEN(w), RA_R_RUNNER(w)))) return;
        } else if (atomic_compare_exchange_weak(&r->word, &w, RA_R_WORD(RA_REC_RUNNING, flags, RA_R_ATTEMPT(w), RA_R_GEN(w), h->slot)))
            break;
    }
    complete(h, entry, RA_ERROR, random);
    atomic_fetch_add(&cancelled, 1);
    assert(ra_record_finish(h, record, RA_REC_CANCELLED, 0));
}

static void execute(ra_heap *h, u64 record, u32 random) {
    ra_record *r = ra_record_at(h, record);
    u64 w = atomic_load(&r->word);
    if (random % 5 == 0 && RA_R_ATTEMPT(w) == 0) { /* an attempt failed: try again */
        while (!ra_queue_record(h, record, &w, RA_R_WORD(RA_REC_QUEUED, RA_R_FLAGS(w), 1, RA_R_GEN(w), 0))) {
        }
        return;
    }
    complete(h, record + sizeof(ra_record), random % 7 ? RA_VALUE : RA_ERROR, random >> 3);
    atomic_fetch_add(&completed, 1);
    assert(ra_record_finish(h, record, RA_REC_DONE, ra_keep_args(h, record)));
}

static void *run(void *argument) {
    u32 slot = (u32)(size_t)argument, state = slot * 91;
    ra_heap h;
    heap_init(&h, slot);
    for (;;) {
        int last = atomic_load(&submitting) == 0;
        u64 record = ra_queue_pop(&h, RA_AT(base, ra_queue, queue));
        if (record)
            execute(&h, record, next_random(&state));
        else if (last && !atomic_load(&RA_AT(base, ra_queue, queue)->overflowing) && atomic_load(&completed) + atomic_load(&cancelled) == SUBMITTERS * rounds * BATCH)
            break;
        else
            ra_relax();
    }
    ra_return_unused(&h);
    heap_done(&h);
    atomic_fetch_sub(&running, 1);
    return NULL;
}

/* The node: moves the overflow into the ring, and takes events. */
static void *refill(void *argument) {
    ra_heap h;
    heap_init(&h, (u32)(size_t)argument);
    while (atomic_load(&running)) {
        if (atomic_load(&RA_AT(base, ra_queue, queue)->overflowing)) ra_refill(&h, queue);
        while (ra_ring_take(RA_AT(base, ra_queue, h.super->events), RA_EVENTS_LOG2)) {
        }
        ra_relax();
    }
    while (ra_refill(&h, queue)) {
    }
    ra_return_unused(&h);
    heap_done(&h);
    return NULL;
}

static int is_settled(ra_heap *h, u64 entry) { return RA_STATE(atomic_load(&ra_entry_at(h, entry)->word)) != RA_PENDING; }

/* Wait as a thread does; a wake-up that is lost would let the test hang. */
static void wait_for(ra_heap *h, u64 *entries, u32 n, u32 index) {
    ra_waiter *w = ra_waiter_at(h, index);
    for (;;) {
        int missing = 0;
        atomic_store(&w->rescan, 0);
        atomic_store(&w->multi, 0);
        atomic_store(&w->need, 1 << 30);
        for (u32 i = 0; i < n; i++)
            if (!is_settled(h, entries[i])) missing += ra_watch(h, entries[i], index);
        if (missing == 0) return;
        if (atomic_fetch_sub(&w->need, (1 << 30) - missing) - ((1 << 30) - missing) <= 0 || atomic_load(&w->rescan)) continue;
        atomic_store(&w->armed, 1);
        if (atomic_load(&w->need) > 0 && !atomic_load(&w->rescan)) assert(ra_futex_wait(&w->armed, 1, 60000000000ull) != 1);
        atomic_store(&w->armed, 0);
    }
}

static void check_value(ra_heap *h, u64 entry) {
    ra_entry *e = ra_entry_at(h, entry);
    u64 w = atomic_load(&e->word);
    assert(RA_STATE(w) == RA_VALUE || RA_STATE(w) == RA_ERROR);
    u64 inside = *(u64 *)(ra_payload_at(h, e->payload) + 1);
    assert(inside == shared[0] || inside == shared[1] || inside == shared[2] || inside == shared[3]);
    atomic_fetch_add(&settled, 1);
}

/* Give a counted reference away, and take over one that another thread gave. */
static void pass(ra_heap *h, u64 entry, u32 place) {
    atomic_fetch_add(&ra_entry_at(h, entry)->refs, 1);
    u64 other = atomic_exchange(&passed[place % PASSED], entry);
    if (!other) return;
    u64 slot = ra_hold_alive(h, other);
    assert(slot);
    ra_unpin(h, other);
    wait_for(h, &other, 1, h->slot);
    check_value(h, other);
    ra_release(h, other, slot);
}

static void *work(void *argument) {
    u32 slot = (u32)(size_t)argument, state = slot * 77;
    ra_heap h;
    heap_init(&h, slot);
    for (int round = 0; round < rounds; round++) {
        u64 entries[BATCH], slots[BATCH];
        u32 kept = 0;
        for (int i = 0; i < BATCH; i++) {
            u64 entry = submit(&h, next_random(&state)), hold = ra_hold_counted(&h, entry);
            u32 choice = next_random(&state) % 8;
            if (choice == 0) {
                ra_release(&h, entry, hold); /* nobody waits for it */
                continue;
            }
            if (choice == 1) cancel(&h, entry, next_random(&state));
            if (choice == 2) pass(&h, entry, next_random(&state));
            entries[kept] = entry;
            slots[kept++] = hold;
        }
        wait_for(&h, entries, kept, slot);
        for (u32 i = 0; i < kept; i++) check_value(&h, entries[i]);
        /* The last rounds' references stay in the hold table, for the node to return. */
        for (u32 i = 0; i < kept && round < rounds - 2; i++) ra_release(&h, entries[i], slots[i]);
    }
    atomic_fetch_sub(&submitting, 1);
    ra_return_unused(&h);
    heap_done(&h);
    return NULL;
}

static void prepare(ra_heap *h) {
    make_arena();
    heap_init(h, 60);
    queue = ra_alloc(h, RA_CHUNK_OBJ, ra_queue_bytes(FIRST_LOG2));
    ra_queue_init_growing(RA_AT(base, ra_queue, queue), FIRST_LOG2, QUEUE_LOG2);
    for (int i = 0; i < SHARED; i++) shared[i] = make_shared(h);
    for (u32 i = 0; i < WAITERS; i++) atomic_store(&ra_waiter_at(h, i)->kind, RA_WAITER_THREAD);
    atomic_store(&h->super->n_waiters, WAITERS);
    atomic_store(&submitting, SUBMITTERS);
    atomic_store(&running, RUNNERS);
}

/* Everything that the threads made is gone, to the last count and chunk. */
static void check_nothing_left(ra_heap *h) {
    for (int i = 0; i < PASSED; i++)
        if (passed[i]) ra_unpin(h, passed[i]);
    for (u32 slot = 1; slot <= SUBMITTERS + RUNNERS + 1; slot++) ra_reap(h, slot);
    for (int i = 0; i < SHARED; i++) {
        assert(atomic_load(&ra_entry_at(h, shared[i])->refs) == 1);
        ra_unpin(h, shared[i]);
    }
    assert(atomic_load(&h->super->lineage) == 0);
    ra_queue_free(h, queue);
    ra_reclaim_empty(h);
    assert(atomic_load(&h->super->used) == 0 && atomic_load(&h->super->orphans) == 0);
}

int main(int argc, char **argv) {
    pthread_t threads[SUBMITTERS + RUNNERS + 1];
    size_t slot = 0;
    ra_heap h;
    if (argc > 1) rounds = atoi(argv[1]);
    prepare(&h);
    for (; slot < SUBMITTERS; slot++) pthread_create(&threads[slot], NULL, work, (void *)(slot + 1));
    for (; slot < SUBMITTERS + RUNNERS; slot++) pthread_create(&threads[slot], NULL, run, (void *)(slot + 1));
    pthread_create(&threads[slot], NULL, refill, (void *)(slot + 1));
    for (size_t i = 0; i <= slot; i++) pthread_join(threads[i], NULL);
    assert(atomic_load(&completed) + atomic_load(&cancelled) == SUBMITTERS * rounds * BATCH);
    assert(atomic_load(&cancelled) > 0 && atomic_load(&settled) > 0);
    check_nothing_left(&h);
    heap_done(&h);
    drop_arena();
    puts("objects: complete, watch, release, cancel, overflow: ok");
    return 0;
}
