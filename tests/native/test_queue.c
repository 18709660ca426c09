/* Threads over the record queue: every record is taken exactly once, also when the ring wraps and fills. */
#include <assert.h>
#include <pthread.h>

#include "objects.h"

enum { PRODUCERS = 3, CONSUMERS = 3, EACH = 20000, LOG2 = 6 };

static ra_queue *queue;
static _Atomic int produced, taken[PRODUCERS * EACH + 1];

static void *produce(void *argument) {
    u64 first = (u64)(size_t)argument * EACH;
    for (u64 i = 1; i <= EACH; i++)
        while (!ra_queue_push(queue, (first + i) << 6, (u32)i)) ra_relax();
    atomic_fetch_add(&produced, 1);
    return NULL;
}

static void *consume(void *argument) {
    (void)argument;
    for (;;) {
        int last = atomic_load(&produced) == PRODUCERS;
        u64 cell = ra_queue_take(queue);
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
        for (u64 i = 1; i <= 7; i++) assert(ra_queue_push(queue, i << 6, 1));
        for (u64 i = 1; i <= 7; i++) assert(RA_CELL_OFFSET(ra_queue_take(queue)) >> 6 == i);
        assert(ra_queue_take(queue) == 0);
    }
}

static void test_full(void) {
    ra_queue_init(queue, LOG2);
    u64 n = 0;
    while (ra_queue_push(queue, (n + 1) << 6, 0)) n++;
    assert(n == 1u << LOG2);
    assert(RA_CELL_OFFSET(ra_queue_take(queue)) >> 6 == 1);
    assert(ra_queue_push(queue, 99 << 6, 0) && !ra_queue_push(queue, 100 << 6, 0));
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
        assert(ra_queue_length(queue) == 0 && !ra_ring_mend(queue, LOG2));
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

int main(void) {
    queue = aligned_alloc(64, (ra_queue_bytes(LOG2) + 63) / 64 * 64);
    test_order_of_one_producer();
    test_full();
    test_damaged_header();
    test_threads();
    free(queue);
    puts("queue: order, full, damaged header, threads: ok");
    return 0;
}
