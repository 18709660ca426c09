/* Threads over the record queue: every record is taken exactly once, also when the ring wraps and fills. */
#include <pthread.h>

#include "arena.h"

enum { PRODUCERS = 3, CONSUMERS = 3, EACH = 20000, LOG2 = 6 };

static ra_queue *queue;
static _Atomic int produced, taken[PRODUCERS * EACH + 1];

static void *produce(void *argument) {
    u64 first = (u64)(size_t)argument * EACH;
    for (u64 i = 1; i <= EACH; i++)
        while (!ra_ring_push(queue, LOG2, (first + i) << 6, (u32)i)) ra_relax();
    atomic_fetch_add(&produced, 1);
    return NULL;
}

static void *consume(void *argument) {
    (void)argument;
    for (;;) {
        int last = atomic_load(&produced) == PRODUCERS;
        u64 cell = ra_ring_take(queue, LOG2);
        if (cell) {
            u64 number = RA_CELL_OFFSET(cell) >> 6;
            assert(RA_CELL_GEN(cell) == (((number - 1) % EACH + 1) & 0xffff));
            atomic_fetch_add(&taken[number], 1);
        } else if (last)
            return NULL;
        else
            ra_relax();
    }
}

static void test_order_of_one_producer(void) {
    ra_queue_init(queue, LOG2);
    for (int lap = 0; lap < 1000; lap++) {
        for (u64 i = 1; i <= 7; i++) assert(ra_ring_push(queue, LOG2, i << 6, 1));
        for (u64 i = 1; i <= 7; i++) assert(RA_CELL_OFFSET(ra_ring_take(queue, LOG2)) >> 6 == i);
        assert(ra_ring_take(queue, LOG2) == 0);
    }
}

static void test_full(void) {
    ra_queue_init(queue, LOG2);
    u64 n = 0;
    while (ra_ring_push(queue, LOG2, (n + 1) << 6, 0)) n++;
    assert(n == 1u << LOG2);
    assert(RA_CELL_OFFSET(ra_ring_take(queue, LOG2)) >> 6 == 1);
    assert(ra_ring_push(queue, LOG2, 99 << 6, 0) && !ra_ring_push(queue, LOG2, 100 << 6, 0));
}

/* Whatever is written over the header, a ring of fixed size is walked within its bounds, and works again once mended. */
static void test_damaged_header(void) {
    const u64 damage[] = {0, 1, 63, 64, 1000, 1ull << 40, ~0ull};
    const int n = sizeof damage / sizeof *damage;
    for (int i = 0; i < n * n; i++) {
        ra_queue_init(queue, LOG2);
        assert(ra_ring_push(queue, LOG2, 1 << 6, 1));
        queue->mask = queue->log2 = 0xffffffff;
        atomic_store(&queue->head, damage[i / n]);
        atomic_store(&queue->tail, damage[i % n]);
        while (ra_ring_take(queue, LOG2)) continue;
        ra_ring_mend(queue, LOG2);
        assert(ra_ring_length(queue) == 0 && !ra_ring_mend(queue, LOG2));
        for (u64 k = 1; k <= 100; k++) {
            assert(ra_ring_push(queue, LOG2, k << 6, 3));
            assert(RA_CELL_OFFSET(ra_ring_take(queue, LOG2)) >> 6 == k);
        }
    }
}

static void test_threads(void) {
    pthread_t threads[PRODUCERS + CONSUMERS];
    ra_queue_init(queue, LOG2);
    for (size_t i = 0; i < PRODUCERS; i++) pthread_create(&threads[i], NULL, produce, (void *)i);
    for (size_t i = 0; i < CONSUMERS; i++) pthread_create(&threads[PRODUCERS + i], NULL, consume, NULL);
    for (size_t i = 0; i < PRODUCERS + CONSUMERS; i++) pthread_join(threads[i], NULL);
    for (int i = 1; i <= PRODUCERS * EACH; i++) assert(atomic_load(&taken[i]) == 1);
}

/* ---- queues that grow ---- */

enum { ROUNDS = 60, RECORDS = 700, FIRST = 2, MOST = 10 };

static u64 growing, records[PRODUCERS][RECORDS];
static _Atomic int popped;

static u64 make_record(ra_heap *h, u32 number) {
    u64 record = ra_alloc(h, RA_CHUNK_REC, sizeof(ra_record));
    assert(record);
    ra_record *r = ra_record_at(h, record);
    r->seq = number;
    atomic_store(&r->word, RA_R_WORD(RA_REC_QUEUED, 0, 0, number, 0));
    return record;
}

static void *push_all(void *argument) {
    u32 slot = (u32)(size_t)argument;
    ra_heap h;
    heap_init(&h, slot + 1);
    for (u32 i = 0; i < RECORDS; i++)
        while (!ra_queue_push(&h, RA_AT(base, ra_queue, growing), records[slot][i], i)) ra_relax();
    ra_return_unused(&h);
    heap_done(&h);
    return NULL;
}

/* Each consumer sees the records of each producer in their order. */
static void *pop_all(void *argument) {
    int64_t last[PRODUCERS] = {-1, -1, -1};
    ra_heap h;
    heap_init(&h, (u32)(size_t)argument + 10);
    while (atomic_load(&popped) < PRODUCERS * RECORDS) {
        u64 record = ra_queue_pop(&h, RA_AT(base, ra_queue, growing));
        if (!record) {
            ra_relax();
            continue;
        }
        u32 number = (u32)ra_record_at(&h, record)->seq, producer = number / RECORDS;
        assert((int64_t)(number % RECORDS) > last[producer]);
        last[producer] = number % RECORDS;
        atomic_fetch_add(&popped, 1);
    }
    heap_done(&h);
    return NULL;
}

static void test_growth(int together) {
    ra_heap h;
    make_arena();
    heap_init(&h, 30);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[PRODUCERS + CONSUMERS];
        growing = ra_alloc(&h, RA_CHUNK_OBJ, ra_queue_bytes(FIRST));
        ra_queue *q = RA_AT(base, ra_queue, growing);
        ra_queue_init_growing(q, FIRST, MOST);
        atomic_store(&popped, 0);
        for (u32 p = 0; p < PRODUCERS; p++)
            for (u32 i = 0; i < RECORDS; i++) {
                records[p][i] = make_record(&h, p * RECORDS + i);
                atomic_store(&ra_record_at(&h, records[p][i])->word, RA_R_WORD(RA_REC_QUEUED, 0, 0, i, 0));
            }
        for (size_t i = 0; i < PRODUCERS; i++) pthread_create(&threads[i], NULL, push_all, (void *)i);
        if (!together) { /* all rings are there, and marked, before the first record is taken */
            while (ra_queue_length(&h, q) < 1000) ra_relax();
            assert(atomic_load(&q->pushing) && !atomic_load(&q->popping));
        }
        for (size_t i = 0; i < CONSUMERS; i++) pthread_create(&threads[PRODUCERS + i], NULL, pop_all, (void *)i);
        for (size_t i = 0; i < PRODUCERS + CONSUMERS; i++) pthread_join(threads[i], NULL);
        assert(ra_queue_length(&h, q) == 0 && ra_queue_pop(&h, q) == 0);
        for (u32 p = 0; p < PRODUCERS; p++)
            for (u32 i = 0; i < RECORDS; i++) ra_free(&h, records[p][i]);
        ra_queue_free(&h, growing);
        ra_reclaim_empty(&h); /* the slabs of the heaps that have ended with their threads, or the arena is full after some rounds */
    }
    assert(atomic_load(&h.super->used) == 0);
    heap_done(&h);
    drop_arena();
}

/* Without room for another ring a queue goes round in the one that it has, full to the last cell. */
static void test_no_room_to_grow(void) {
    ra_heap h;
    make_arena();
    heap_init(&h, 30);
    growing = ra_alloc(&h, RA_CHUNK_OBJ, ra_queue_bytes(FIRST));
    ra_queue *q = RA_AT(base, ra_queue, growing);
    ra_queue_init_growing(q, FIRST, 14);
    u64 taken[40];
    for (int i = 0; i < 40; i++) taken[i] = make_record(&h, i);
    u64 limit = h.super->limit;
    h.super->limit = 0;
    while (ra_alloc(&h, RA_CHUNK_OBJ, ra_queue_bytes(FIRST + RA_QUEUE_STEP))) continue;
    for (int lap = 0; lap < 10; lap++) {
        for (u32 i = 0; i < 4; i++) assert(ra_queue_push(&h, q, taken[4 * lap + i], 4 * lap + i));
        assert(!ra_queue_push(&h, q, taken[0], 0) && ra_queue_length(&h, q) == 4);
        for (u32 i = 0; i < 4; i++) assert(ra_queue_pop(&h, q) == taken[4 * lap + i]);
        assert(!ra_queue_pop(&h, q));
    }
    h.super->limit = limit;
    for (u32 i = 0; i < 40; i++) {
        atomic_store(&ra_record_at(&h, taken[i])->word, RA_R_WORD(RA_REC_QUEUED, 0, 0, i, 0));
        assert(ra_queue_push(&h, q, taken[i], i));
    }
    for (u32 i = 0; i < 40; i++) assert(ra_queue_pop(&h, q) == taken[i]);
    assert(!ra_queue_pop(&h, q) && atomic_load(&q->popping));
    heap_done(&h);
    drop_arena();
}

int main(void) {
    queue = aligned_alloc(64, (ra_queue_bytes(LOG2) + 63) / 64 * 64);
    test_order_of_one_producer();
    test_full();
    test_damaged_header();
    test_threads();
    free(queue);
    test_growth(1);
    test_growth(0);
    test_no_room_to_grow();
    puts("queue: order, full, damaged header, threads, growth: ok");
    return 0;
}
