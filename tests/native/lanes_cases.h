/* What readers write into lanes stays there, and is gone for the next one, in every way that systems offer to drop it. */
#ifndef RA_TEST_LANES_CASES_H
#define RA_TEST_LANES_CASES_H

#include <assert.h>

#include "lanes.h"

enum { LANES_CHUNKS = 160, RUN = 40, PAGE = 4096 };

static int memory;
static ra_heap heap;

static void make_lanes_arena(void) {
    u64 tables = 1 << 20, bytes = tables + (u64)LANES_CHUNKS * RA_CHUNK;
    memory = ra_shared_memory("lanes");
    assert(memory >= 0 && ftruncate(memory, (off_t)bytes) == 0);
    memset(&heap, 0, sizeof heap);
    heap.base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    assert(heap.base != MAP_FAILED);
    heap.super = (ra_super *)heap.base;
    heap.super->n_chunks = heap.super->n_memory = LANES_CHUNKS;
    heap.memory = memory + 1;
    heap.split = bytes;
    heap.super->bytes = bytes;
    heap.super->limit = (u64)LANES_CHUNKS * RA_CHUNK;
    heap.super->chunks = 4096;
    heap.super->data = tables;
    heap.slot = 1;
}

static u64 make_run(u8 value) {
    u64 run = ra_alloc(&heap, RA_CHUNK_DATA, (u64)RUN * RA_CHUNK);
    assert(run && ra_is_run(&heap, run));
    memset(heap.base + run, value, (size_t)RUN * RA_CHUNK);
    return run;
}

static void leave(ra_lanes *lanes, u32 index, u32 lane, u64 faults) {
    if (ra_lane_clean(&heap, lanes, index, lane, faults)) ra_lane_free(lanes, index, lane);
}

static int holds(const u8 *image, u8 value) {
    for (u64 at = 0; at < (u64)RUN * RA_CHUNK; at += PAGE)
        if (image[at] != value || image[at + PAGE - 1] != value) return 0;
    return 1;
}

/* Each reader finds the value, and writes to other pages: one, some neighbours, many single ones, all. */
static void read_and_write(ra_lanes *lanes, u32 index, u64 run, u8 value, u32 round) {
    static const u64 steps[] = {RUN * RA_CHUNK, 7 * PAGE, 2 * PAGE, PAGE};
    u32 lane = ra_lane_take(&heap, lanes, index);
    assert(lane == 0);
    u8 *image = lanes->base[lane] + run;
    assert(holds(image, value));
    for (u64 at = 0; at < RUN * RA_CHUNK; at += steps[round % 4]) image[at] = (u8)~value;
    assert(holds(heap.base + run, value));
    leave(lanes, index, lane, 0);
}

static void test_one_reader_after_the_other(int pagemap) {
    ra_lanes lanes = {.pagemap = pagemap};
    for (u32 round = 0; round < 3 * RA_RESETS; round++) {
        u64 run = make_run((u8)round);
        for (u32 reader = 0; reader < 3; reader++) read_and_write(&lanes, ra_chunk_index(&heap, run), run, (u8)round, round + reader);
        ra_free(&heap, run);
    }
    ra_lanes_unmap(&lanes);
}

static void test_readers_at_the_same_time(void) {
    ra_lanes lanes = {.pagemap = 0};
    u64 run = make_run(5);
    u32 index = ra_chunk_index(&heap, run);
    for (u32 lane = 0; lane < RA_LANES; lane++) {
        assert(ra_lane_take(&heap, &lanes, index) == lane);
        assert(holds(lanes.base[lane] + run, 5));
        memset(lanes.base[lane] + run, (int)(10 + lane), (size_t)RUN * RA_CHUNK);
    }
    assert(ra_lane_take(&heap, &lanes, index) == RA_NO_LANE);
    for (u32 lane = 0; lane < RA_LANES; lane++) assert(holds(lanes.base[lane] + run, (u8)(10 + lane)));
    assert(holds(heap.base + run, 5));
    leave(&lanes, index, 3, 0);
    assert(ra_lane_take(&heap, &lanes, index) == 3 && holds(lanes.base[3] + run, 5));
    ra_free(&heap, run);
    ra_lanes_unmap(&lanes);
}

/* Advice to drop a page that is locked is refused: then the page is mapped anew. */
static void test_locked_pages(void) {
    ra_lanes lanes = {.pagemap = 0};
    u64 run = make_run(9);
    u32 index = ra_chunk_index(&heap, run), lane = ra_lane_take(&heap, &lanes, index);
    if (mlock(lanes.base[lane] + run + PAGE, PAGE) == 0) {
        lanes.base[lane][run + PAGE] = 1;
        leave(&lanes, index, lane, 0);
        assert(ra_lane_take(&heap, &lanes, index) == lane && holds(lanes.base[lane] + run, 9));
    }
    ra_free(&heap, run);
    ra_lanes_unmap(&lanes);
}

/* A range that cannot be made clean is not read in that lane any more. */
static void test_what_cannot_be_dropped(void) {
    ra_lanes lanes = {.pagemap = -1};
    u64 run = make_run(4);
    u32 index = ra_chunk_index(&heap, run), lane = ra_lane_take(&heap, &lanes, index);
    u8 *mapped = lanes.base[lane];
    mapped[run] = 1;
    lanes.base[lane] = (u8 *)1; /* no address at which anything can be mapped */
    leave(&lanes, index, lane, 0);
    lanes.base[lane] = mapped;
    u32 next = ra_lane_take(&heap, &lanes, index);
    assert(next != lane && holds(lanes.base[next] + run, 4));
    ra_free(&heap, run);
    ra_lanes_unmap(&lanes);
}

/* Who has no page fault has written nothing; who has some may have, whatever they were for. */
static void test_faults_tell_who_cannot_have_written(void) {
    ra_lanes lanes = {.pagemap = 0};
    u64 run = make_run(6);
    u32 index = ra_chunk_index(&heap, run);
    for (int round = 0; round < 2 * RA_RESETS; round++) {
        u64 faults = ra_faults();
        u32 lane = ra_lane_take(&heap, &lanes, index);
        u8 *image = lanes.base[0] + run;
        assert(lane == 0 && holds(image, 6));
        if (round % 3 == 0) image[round * PAGE] = 1;
        leave(&lanes, index, lane, faults);
    }
    ra_free(&heap, run);
    ra_lanes_unmap(&lanes);
}

static void test_lanes(void) {
    make_lanes_arena();
    test_one_reader_after_the_other(0);
    test_one_reader_after_the_other(-1);
    test_readers_at_the_same_time();
    test_locked_pages();
    test_faults_tell_who_cannot_have_written();
    test_what_cannot_be_dropped();
    assert(atomic_load(&heap.super->used) == 0);
    munmap(heap.base, heap.super->bytes);
    close(memory);
}

#endif
