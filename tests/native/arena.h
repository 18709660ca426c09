/* An arena in anonymous memory, and heaps of several "processes" on it, as the C tests need them. */
#ifndef RA_TEST_ARENA_H
#define RA_TEST_ARENA_H

#include <assert.h>

#include "recovery.h"

enum { CHUNKS = 160, SLOTS = 64, WAITERS = 64 };

static u8 *base;

static void make_arena(void) {
    u64 tables = 2 << 20, bytes = tables + (u64)CHUNKS * RA_CHUNK;
    base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert(base != MAP_FAILED);
    ra_super *s = (ra_super *)base;
    s->n_chunks = s->n_memory = CHUNKS;
    s->bytes = bytes;
    s->limit = (u64)CHUNKS * RA_CHUNK;
    s->lineage_limit = 1 << 16;
    s->procs = 4096;
    s->waiters = s->procs + SLOTS * sizeof(ra_proc);
    s->classes = s->waiters + WAITERS * sizeof(ra_waiter);
    s->chunks = s->classes + RA_CLASS_TABLE_BYTES;
    s->events = 1 << 20;
    s->data = tables;
    ra_queue_init(RA_AT(base, ra_queue, s->events), RA_EVENTS_LOG2);
}

static void drop_arena(void) { munmap(base, ((ra_super *)base)->bytes); }

static void heap_init(ra_heap *h, u32 slot) {
    memset(h, 0, sizeof *h);
    h->base = base;
    h->super = (ra_super *)base;
    h->slot = slot;
    h->uid = slot;
    h->wake_socket = h->directory = -1;
}

static void heap_done(ra_heap *h) {
    for (int k = 0; k < RA_SLAB_KINDS; k++)
        for (int c = 0; c < RA_CLASSES; c++) free(h->slabs[k][c].owned);
}

static inline u32 next_random(u32 *state) { return *state = *state * 1664525u + 1013904223u, *state >> 8; }

#endif
