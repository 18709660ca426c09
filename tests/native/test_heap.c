/* Several processes' heaps on one mapping, as threads: no block is given twice, and everything comes back. */
#include <pthread.h>

#include "arena.h"

enum { THREADS = 4, ROUNDS = 4000, HELD = 64 };

static au64 exchange[HELD]; /* blocks that one thread allocates and another frees */

static u64 size_of(u32 r) {
    static const u64 sizes[] = {64, 100, 500, 1000, 5000, 20000, 32768, 65536, 200000};
    return sizes[r % 9];
}

/* A block's second word says whose it is while someone has it. */
static void claim(u64 block, u64 mark) {
    au64 *words = (au64 *)(base + block);
    assert(atomic_load(&words[0]) == 0);
    atomic_store(&words[0], 99);
    assert(atomic_exchange(&words[1], mark) == 0);
}

static void give_back(ra_heap *h, u64 block, u64 mark) {
    assert(atomic_exchange((au64 *)(base + block) + 1, 0) == mark);
    ra_free(h, block);
}

static void *work(void *argument) {
    u32 slot = (u32)(size_t)argument, state = slot * 77;
    ra_heap h;
    heap_init(&h, slot);
    for (int i = 0; i < ROUNDS; i++) {
        u32 r = next_random(&state);
        u64 size = size_of(next_random(&state)), block = ra_alloc(&h, RA_CHUNK_DATA + r % 2, size);
        if (block == 0) ra_reclaim_empty(&h);
        if (block) {
            if (size > RA_LARGEST_BLOCK) atomic_store((au64 *)(base + block) + 1, 0);
            claim(block, 7);
        }
        u64 other = atomic_exchange(&exchange[next_random(&state) % HELD], block);
        if (other) give_back(&h, other, 7);
        if (r % 200 == 0) ra_reclaim_empty(&h);
    }
    ra_return_unused(&h);
    heap_done(&h);
    return NULL;
}

static void test_threads(void) {
    pthread_t threads[THREADS];
    ra_heap h;
    make_arena();
    heap_init(&h, 60);
    for (size_t i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, (void *)(i + 1));
    for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < HELD; i++)
        if (exchange[i]) give_back(&h, exchange[i], 7);
    for (u32 slot = 1; slot <= THREADS; slot++) ra_reap(&h, slot);
    ra_reclaim_empty(&h);
    assert(atomic_load(&h.super->used) == 0 && atomic_load(&h.super->orphans) == 0);
    for (u32 i = 0; i < CHUNKS; i++) assert(RA_CHUNK_KIND(atomic_load(&ra_chunk_at(&h, i)->word)) == RA_CHUNK_FREE);
    drop_arena();
}

/* A dead process's unfinished blocks and runs come back, its published ones stay, and its slabs find a new owner. */
static void test_death(void) {
    ra_heap dead, other;
    make_arena();
    heap_init(&dead, 1);
    heap_init(&other, 2);
    u64 kept = ra_alloc(&dead, RA_CHUNK_DATA, 100), lost = ra_alloc(&dead, RA_CHUNK_DATA, 100), half = ra_alloc(&dead, RA_CHUNK_DATA, 100);
    u64 queue = ra_alloc(&dead, RA_CHUNK_OBJ, ra_queue_bytes(14)), run = ra_alloc(&dead, RA_CHUNK_DATA, 300000);
    ra_queue_init(RA_AT(base, ra_queue, queue), 14);
    atomic_store(&ra_payload_at(&dead, kept)->word, RA_PAYLOAD_READY);
    atomic_store(&ra_payload_at(&dead, half)->word, RA_PAYLOAD_BUILDING);
    atomic_store(&ra_payload_at(&dead, run)->word, RA_PAYLOAD_BUILDING);
    ra_reap(&other, 1);
    assert(atomic_load(&other.super->orphans) == 1);
    assert(ra_queue_check(&other, queue)); /* a queue outlives its maker */
    assert(ra_block_check(&other, kept, RA_CHUNK_DATA) && !ra_block_check(&other, run, RA_CHUNK_DATA));
    u64 again = ra_alloc(&other, RA_CHUNK_DATA, 100);
    assert(again != kept && ra_chunk_index(&other, again) == ra_chunk_index(&other, kept));
    assert(atomic_load(&other.super->orphans) == 0);
    ra_free(&other, again);
    ra_free(&other, kept);
    ra_free(&other, queue);
    ra_reclaim_empty(&other);
    assert(atomic_load(&other.super->used) == 0);
    (void)lost;
    heap_done(&dead);
    heap_done(&other);
    drop_arena();
}

/* Whatever is in the cells, a push and a take come to an end, and the queue works again. */
static void test_damaged_cells(void) {
    enum { LOG2 = 6 };
    ra_queue *q = aligned_alloc(64, (ra_queue_bytes(LOG2) + 63) / 64 * 64);
    u32 state = 5;
    for (int round = 0; round < 2000; round++) {
        ra_queue_init(q, LOG2);
        u32 moves = next_random(&state) % 300;
        for (u32 i = 0; i < moves; i++) {
            ra_ring_push(q, LOG2, (u64)(i + 1) << 6, 1);
            if (i % 3) ra_ring_take(q, LOG2);
        }
        for (u32 i = 0, n = next_random(&state) % 64; i < n; i++)
            atomic_store(&q->cells[next_random(&state) % 64], (u64)next_random(&state) << 40 ^ (u64)next_random(&state) << 16 ^ next_random(&state));
        while (ra_ring_take(q, LOG2)) {
        }
        for (u64 i = 1; i <= 200; i++) {
            ra_ring_push(q, LOG2, i << 6, 1);
            ra_ring_take(q, LOG2);
        }
        while (ra_ring_take(q, LOG2)) {
        }
        assert(ra_ring_push(q, LOG2, 77 << 6, 1) && RA_CELL_OFFSET(ra_ring_take(q, LOG2)) == 77 << 6);
    }
    free(q);
}

int main(void) {
    test_threads();
    test_death();
    test_damaged_cells();
    puts("heap: threads, death; queue: damaged cells: ok");
    return 0;
}
