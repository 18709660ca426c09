/* Allocation from the arena: slabs of equal blocks leased by a process, and runs of whole chunks.
 *
 * Lock-free. A process takes the free bits of a slab it leases 64 at a time; anyone gives a block back by setting its bit.
 * A block's first word is 0 while it is free, so blocks that a killed process had taken are distinguished from used ones.
 */
#ifndef RA_HEAP_H
#define RA_HEAP_H

#include "platform.h"

#define RA_CLASSES 17
static const u32 ra_block_size[RA_CLASSES] = {128,  192,  256,  384,  512,  768,   1024,  1536, 2048,
                                              3072, 4096, 6144, 8192, 12288, 16384, 21824, 32768};
#define RA_LARGEST_BLOCK 32768u

typedef struct {
    u32 chunk; /* index + 1 of the slab in use; 0: none */
    u32 gen;
    u32 word;  /* next bitmap word to look at */
    u64 bits;  /* blocks of word - 1 that this process has taken from the bitmap and not yet used */
    u32 *owned;
    u32 n, capacity, next;
} ra_slabs;

typedef struct {
    u8 *base;
    ra_super *super;
    u32 slot; /* of this process */
    u32 uid;
    u64 counter;
    u64 hold_free; /* free list of the hold table */
    u64 hold_fresh, hold_end;
    int wake_socket;
    int directory; /* descriptor of the session's directory */
    int memory, overflow; /* 1 + the descriptors of what is mapped; 0: none */
    u64 split;            /* offset from which on the arena is the overflow file */
    u8 closed;     /* after fork in the child, or after shutdown */
    u8 node_dead;  /* this process knows that the node is gone */
    u32 reserve;   /* chunks that it may take beyond the limit now: while it reports an error for which there is no room */
    ra_slabs slabs[RA_SLAB_KINDS][RA_CLASSES];
} ra_heap;

/* Map `size` bytes of the arena from `offset` on, shared or private: at `place`, or anywhere. NULL when that fails. */
static inline u8 *ra_map(ra_heap *h, u8 *place, int sharing, u64 offset, u64 size) {
    int flags = sharing | MAP_NORESERVE | (place ? MAP_FIXED : 0), protection = PROT_READ | PROT_WRITE;
    int outside = offset >= h->split, fd = (outside ? h->overflow : h->memory) - 1;
    void *mapped = fd < 0 ? MAP_FAILED : mmap(place, size, protection, flags, fd, (off_t)(outside ? offset - h->split : offset));
    if (mapped == MAP_FAILED) return NULL;
    u64 inside = outside ? size : h->split - offset;
    if (inside < size &&
        mmap((u8 *)mapped + inside, size - inside, protection, sharing | MAP_NORESERVE | MAP_FIXED, h->overflow - 1, 0) == MAP_FAILED) {
        munmap(mapped, size);
        return NULL;
    }
#ifdef MADV_DONTDUMP
    madvise(mapped, size, MADV_DONTDUMP); /* sparse and vast; a kernel that refuses writes larger core files */
#endif
    return (u8 *)mapped;
}

/* A forked child starts with no leases: those that it copied are its parent's. */
static inline void ra_heap_forget(ra_heap *h) { memset(h->slabs, 0, sizeof h->slabs); }

static inline ra_chunk *ra_chunk_at(ra_heap *h, u32 index) { return RA_AT(h->base, ra_chunk, h->super->chunks) + index; }
static inline u64 ra_chunk_offset(ra_heap *h, u32 index) { return h->super->data + ((u64)index << RA_CHUNK_SHIFT); }
static inline u32 ra_chunk_index(ra_heap *h, u64 offset) { return (u32)((offset - h->super->data) >> RA_CHUNK_SHIFT); }

/* How many chunks of the shared memory were ever used. */
static inline u32 ra_chunks_used(ra_heap *h) {
    u32 high = atomic_load(&h->super->high);
    return high < h->super->n_memory ? high : h->super->n_memory;
}

/* End of the chunks of the overflow file, which begin at `n_memory`, that were ever used. */
static inline u32 ra_overflow_end(ra_heap *h) {
    u64 end = h->super->n_memory + atomic_load(&h->super->overflow_high);
    return end < h->super->n_chunks ? (u32)end : h->super->n_chunks;
}

static inline u32 ra_size_class(u64 size) {
    u32 c = 0;
    while (ra_block_size[c] < size) c++;
    return c;
}

static inline int ra_chunk_claim(ra_heap *h, u32 index, u32 kind, u32 cls) {
    ra_chunk *c = ra_chunk_at(h, index);
    u64 w = atomic_load_explicit(&c->word, memory_order_relaxed);
    if (RA_CHUNK_KIND(w) != RA_CHUNK_FREE) return 0;
    return atomic_compare_exchange_strong(&c->word, &w, RA_CHUNK_WORD(kind, cls, h->slot, RA_CHUNK_GEN(w) + 1));
}

/* Raise the end of what was ever used, before the chunks are claimed: recovery looks no further. */
static inline void ra_raise_u32(au32 *high, u32 end) {
    u32 seen = atomic_load(high);
    while (seen < end && !atomic_compare_exchange_weak(high, &seen, end)) {
    }
}

static inline int ra_chunk_is_free(ra_heap *h, u32 index) {
    return RA_CHUNK_KIND(atomic_load_explicit(&ra_chunk_at(h, index)->word, memory_order_relaxed)) == RA_CHUNK_FREE;
}

static inline void ra_chunk_release(ra_heap *h, u32 index) {
    ra_chunk *c = ra_chunk_at(h, index);
    u64 w = atomic_load(&c->word);
    atomic_store(&c->word, RA_CHUNK_WORD(RA_CHUNK_FREE, 0, 0, RA_CHUNK_GEN(w) + 1));
    au64 *hints[] = {&h->super->hint, &h->super->run_hint};
    for (int i = 0; i < 2; i++) {
        u64 hint = atomic_load_explicit(hints[i], memory_order_relaxed);
        while (index < hint && !atomic_compare_exchange_weak(hints[i], &hint, index)) {
        }
    }
}

/* Runs begin here if they can, and leave the chunks below to slabs and pages of holds: one of those in the middle of the
   arena, taken while it was full, would keep large objects out long after. */
static inline u32 ra_runs_floor(ra_super *s) { return s->n_memory / 16 < 1024 ? s->n_memory / 16 : 1024; }

static inline void ra_uncount(ra_heap *h, u32 index, u32 n) {
    atomic_fetch_sub(index < h->super->n_memory ? &h->super->used : &h->super->overflow, n);
}

/* Give the pages of chunks that nobody else has back to the system; they read as zeros from then on. */
static inline int ra_pages_back(ra_heap *h, u32 index, u32 n) {
#ifdef RA_LINUX
    int outside = index >= h->super->n_memory, fd = (outside ? h->overflow : h->memory) - 1;
    u64 offset = ra_chunk_offset(h, index) - (outside ? h->split : 0);
    return fd >= 0 && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)n << RA_CHUNK_SHIFT) == 0;
#else
    (void)h, (void)index, (void)n;
    return 0;
#endif
}

#ifdef RA_LINUX
#define RA_PLACES 8 /* places for so many times the limit: what is in use in between keeps no large object out */
#else
#define RA_PLACES 1 /* what is freed keeps its pages */
#endif
#define RA_COOL_AHEAD 16 /* chunks more than must be are cooled at once, since to find them takes a while */

/* Give back pages of `wanted` free chunks, or of all there are; those at the end first, since the others are used again sooner. */
static inline void ra_cool(ra_heap *h, u64 wanted) {
    for (u32 end = ra_chunks_used(h); end > 0 && wanted;) {
        u32 first = end;
        while (first > 0 && end - first < wanted && atomic_load(&ra_chunk_at(h, first - 1)->warm) &&
               ra_chunk_claim(h, first - 1, RA_CHUNK_CLAIMED, 0))
            first--;
        u32 n = end - first;
        int cold = n && ra_pages_back(h, first, n);
        if (cold) {
            for (u32 k = 0; k < n; k++) atomic_store(&ra_chunk_at(h, first + k)->warm, 0);
            atomic_fetch_sub(&h->super->resident, n);
            wanted -= n;
        }
        for (u32 k = n; k-- > 0;) ra_chunk_release(h, first + k);
        if (n && !cold) return; /* nor will others be taken back */
        end = n ? first : end - 1;
    }
}

/* Count the pages that claimed chunks are about to get. What is free keeps its pages, which makes it faster to use again,
   for as long as all together stay within the limit. */
static inline void ra_warm(ra_heap *h, u32 index, u32 n) {
    u32 cold = 0;
    for (u32 k = 0; k < n; k++) {
        au32 *warm = &ra_chunk_at(h, index + k)->warm;
        if (atomic_load_explicit(warm, memory_order_relaxed)) continue;
        atomic_store_explicit(warm, 1, memory_order_relaxed);
        cold++;
    }
    if (!cold) return;
    u64 resident = atomic_fetch_add(&h->super->resident, cold) + cold, limit = h->super->limit >> RA_CHUNK_SHIFT;
    if (resident > limit) ra_cool(h, resident - limit + RA_COOL_AHEAD);
}

/* A run of claimed chunks becomes what it was claimed for. */
static inline void ra_run_set(ra_heap *h, u32 index, u32 n, u32 kind, u32 cls) {
    for (u32 k = n; k-- > 0;) {
        ra_chunk *c = ra_chunk_at(h, index + k);
        u64 w = atomic_load(&c->word);
        u32 as = k == 0 ? kind : RA_CHUNK_TAIL;
        if (k == 0) atomic_store(&c->length, n);
        atomic_store(&c->word, RA_CHUNK_WORD(as == RA_CHUNK_HEAD || as == RA_CHUNK_TAIL || as == RA_CHUNK_HOLDS ? as : RA_CHUNK_CLAIMED,
                                             cls, h->slot, RA_CHUNK_GEN(w)));
    }
}

#define RA_RESERVE 32 /* chunks beyond the limit that errors may take, of all processes together */

/* Claim `n` neighbouring chunks, lowest address first (of runs: above the floor first). Returns the first one's index, or -1 when there is no such run. */
static inline int64_t ra_run_claim(ra_heap *h, u32 n, u32 kind, u32 cls) {
    ra_super *s = h->super;
    if (atomic_fetch_add(&s->used, n) + n > (s->limit >> RA_CHUNK_SHIFT) + h->reserve) {
        atomic_fetch_sub(&s->used, n);
        return -1;
    }
    int run = kind == RA_CHUNK_HEAD;
    au64 *hints = run ? &s->run_hint : &s->hint;
    u64 hint = atomic_load_explicit(hints, memory_order_relaxed);
    u32 start = (u32)hint, floor = run ? ra_runs_floor(s) : 0;
    if (start < floor) start = floor;
again:;
    u32 first_free = UINT32_MAX;
    for (u32 i = start; i + n <= s->n_memory;) {
        u32 got = 0, end = i + n;
        if (ra_chunk_is_free(h, i)) ra_raise_u32(&s->high, end);
        while (got < n && ra_chunk_claim(h, i + got, RA_CHUNK_CLAIMED, 0)) got++;
        if (got == n) {
            if (first_free == UINT32_MAX && hint <= start) atomic_compare_exchange_strong(hints, &hint, end); /* nothing free was passed over */
            ra_warm(h, i, n);
            ra_run_set(h, i, n, kind, cls);
            return i;
        }
        if (got) first_free = i;
        for (u32 k = got; k-- > 0;) ra_chunk_release(h, i + k);
        i += got + 1;
    }
    if (start > 0) { /* the hint is only a hint: a chunk may have become free behind it */
        start = 0;
        goto again;
    }
    atomic_fetch_sub(&s->used, n);
    return -1;
}

static inline void ra_run_release(ra_heap *h, u32 index) {
    u32 n = atomic_load(&ra_chunk_at(h, index)->length), left = (index < h->super->n_memory ? h->super->n_memory : h->super->n_chunks) - index;
    if (n > left) n = left; /* only a damaged length can be so large */
    if (index >= h->super->n_memory) ra_pages_back(h, index, n); /* a disk is nobody's cache; what stays is overwritten */
    for (u32 k = n; k-- > 0;) ra_chunk_release(h, index + k);
    ra_uncount(h, index, n);
}

/* Memory for a payload in the overflow file: 0 where there is none, or no room within the budget or on the disk. */
static inline u64 ra_alloc_overflow(ra_heap *h, u64 size) {
#ifdef RA_LINUX
    ra_super *s = h->super;
    u64 n = (size + RA_CHUNK - 1) >> RA_CHUNK_SHIFT, budget = atomic_load(&s->spill_budget);
    u64 taken = atomic_fetch_add(&s->overflow, n) + n;
    for (u64 i = s->n_memory; h->overflow && i + n <= s->n_chunks;) {
        if (budget && (taken << RA_CHUNK_SHIFT) + atomic_load(&s->on_disk) > budget) break;
        u32 got = 0, index = (u32)i;
        if (ra_chunk_is_free(h, index)) {
            u64 end = i + n - s->n_memory, high = atomic_load(&s->overflow_high);
            while (high < end && !atomic_compare_exchange_weak(&s->overflow_high, &high, end)) {
            }
        }
        while (got < n && ra_chunk_claim(h, index + got, RA_CHUNK_CLAIMED, 0)) got++;
        if (got == n) {
            u64 offset = ra_chunk_offset(h, index);
            /* A disk that is full would kill whoever writes to the mapping: the blocks are taken first. */
            if (fallocate(h->overflow - 1, FALLOC_FL_KEEP_SIZE, (off_t)(offset - h->split), (off_t)(n << RA_CHUNK_SHIFT)) == 0) {
                ra_run_set(h, index, (u32)n, RA_CHUNK_HEAD, RA_CHUNK_DATA);
                atomic_store((au64 *)(h->base + offset), 0);
                return offset;
            }
            ra_pages_back(h, index, (u32)n); /* the part of them that was to be had */
        }
        for (u32 k = got; k-- > 0;) ra_chunk_release(h, index + k);
        if (got == n) break;
        i += got + 1;
    }
    atomic_fetch_sub(&s->overflow, n);
#else
    (void)h, (void)size;
#endif
    return 0;
}

static inline u32 ra_blocks_in(u32 cls) { return (u32)(RA_CHUNK / ra_block_size[cls]); }

static inline u64 ra_full_bits(u32 cls, u32 word) {
    u32 n = ra_blocks_in(cls), from = word * 64;
    if (n <= from) return 0;
    return n - from >= 64 ? ~0ull : (1ull << (n - from)) - 1;
}

static inline void ra_slabs_append(ra_slabs *s, u32 index) {
    if (s->n == s->capacity) {
        u32 capacity = s->capacity ? s->capacity * 2 : 8;
        u32 *owned = (u32 *)realloc(s->owned, capacity * sizeof(u32));
        if (!owned) return; /* the slab stays usable, only not found again once it is full */
        s->owned = owned;
        s->capacity = capacity;
    }
    s->owned[s->n++] = index;
}

static inline int ra_slab_open(ra_heap *h, ra_slabs *s, u32 index) {
    s->chunk = index + 1;
    s->gen = RA_CHUNK_GEN(atomic_load(&ra_chunk_at(h, index)->word));
    s->word = 0;
    s->bits = 0;
    return 1;
}

/* The arena is full: any slab of ours with a free block will do. */
static inline int ra_slab_any(ra_heap *h, ra_slabs *s, u32 kind, u32 cls) {
    for (u32 i = 0; i < s->n; i++) {
        ra_chunk *c = ra_chunk_at(h, s->owned[i]);
        u64 w = atomic_load(&c->word);
        if (RA_CHUNK_KIND(w) != kind || RA_CHUNK_CLASS(w) != cls || RA_CHUNK_OWNER(w) != h->slot) continue;
        for (u32 k = 0; k < RA_BITMAP_WORDS; k++)
            if (atomic_load(&c->free[k])) return ra_slab_open(h, s, s->owned[i]);
    }
    return 0;
}

/* Make a slab with free blocks current: one of ours that has become a quarter free, an orphan, or a new one. */
static inline int ra_slab_next(ra_heap *h, u32 kind, u32 cls) {
    ra_slabs *s = &h->slabs[kind - RA_CHUNK_DATA][cls];
    u32 quarter = ra_blocks_in(cls) / 4;
    if (quarter == 0) quarter = 1;
    for (u32 tries = 0; tries < 8 && tries < s->n; tries++) {
        if (s->next >= s->n) s->next = 0;
        u32 index = s->owned[s->next], free_blocks = 0;
        ra_chunk *c = ra_chunk_at(h, index);
        u64 w = atomic_load(&c->word);
        if (RA_CHUNK_KIND(w) != kind || RA_CHUNK_CLASS(w) != cls || RA_CHUNK_OWNER(w) != h->slot) {
            s->owned[s->next] = s->owned[--s->n]; /* was taken back while it was empty */
            continue;
        }
        for (u32 k = 0; k < RA_BITMAP_WORDS; k++) free_blocks += (u32)__builtin_popcountll(atomic_load(&c->free[k]));
        s->next++;
        if (free_blocks >= quarter) return ra_slab_open(h, s, index);
    }
    if (atomic_load(&h->super->orphans))
        for (u32 i = 0, high = ra_chunks_used(h); i < high; i++) {
            u64 w = atomic_load(&ra_chunk_at(h, i)->word);
            if (RA_CHUNK_KIND(w) != kind || RA_CHUNK_CLASS(w) != cls || RA_CHUNK_OWNER(w) != RA_ORPHAN) continue;
            if (!atomic_compare_exchange_strong(&ra_chunk_at(h, i)->word, &w, RA_CHUNK_WORD(kind, cls, h->slot, RA_CHUNK_GEN(w) + 1))) continue;
            atomic_fetch_sub(&h->super->orphans, 1);
            ra_slabs_append(s, i);
            return ra_slab_open(h, s, i);
        }
    int64_t index = ra_run_claim(h, 1, RA_CHUNK_CLAIMED, cls);
    if (index < 0) return ra_slab_any(h, s, kind, cls);
    ra_chunk *c = ra_chunk_at(h, (u32)index);
    u64 w = atomic_load(&c->word);
    u8 *start = h->base + ra_chunk_offset(h, (u32)index);
    if (RA_CHUNK_GEN(w) > 1) /* used before: make all blocks' words say free */
        for (u32 k = 0; k < ra_blocks_in(cls); k++) atomic_store_explicit((au64 *)(start + (u64)k * ra_block_size[cls]), 0, memory_order_relaxed);
    for (u32 k = 0; k < RA_BITMAP_WORDS; k++) atomic_store(&c->free[k], ra_full_bits(cls, k));
    atomic_store(&c->length, 1);
    atomic_store(&c->word, RA_CHUNK_WORD(kind, cls, h->slot, RA_CHUNK_GEN(w)));
    ra_slabs_append(s, (u32)index);
    return ra_slab_open(h, s, (u32)index);
}

static inline u64 ra_block_take(ra_heap *h, u32 kind, u32 cls) {
    ra_slabs *s = &h->slabs[kind - RA_CHUNK_DATA][cls];
    for (;;) {
        while (s->bits == 0) {
            if (s->chunk == 0 || s->word == RA_BITMAP_WORDS) {
                if (!ra_slab_next(h, kind, cls)) {
                    s->chunk = 0;
                    return 0;
                }
                continue;
            }
            ra_chunk *c = ra_chunk_at(h, s->chunk - 1);
            if (atomic_load_explicit(&c->free[s->word], memory_order_relaxed)) {
                /* Only damage sets bits that no block has. */
                u64 bits = atomic_exchange(&c->free[s->word], 0) & ra_full_bits(cls, s->word);
                /* Only now is it certain that nobody took the whole slab away while it was empty. */
                if (atomic_load(&c->word) != RA_CHUNK_WORD(kind, cls, h->slot, s->gen)) {
                    atomic_fetch_or(&c->free[s->word], bits);
                    s->chunk = 0;
                    continue;
                }
                s->bits = bits;
            }
            s->word++;
        }
        u32 bit = (u32)__builtin_ctzll(s->bits);
        s->bits &= s->bits - 1;
        return ra_chunk_offset(h, s->chunk - 1) + ((u64)(s->word - 1) * 64 + bit) * ra_block_size[cls];
    }
}

/* Memory for `size` bytes, 64-byte aligned, or 0 when the arena is full. The block's first word is still 0. */
static inline u64 ra_alloc(ra_heap *h, u32 kind, u64 size) {
    if (size <= RA_LARGEST_BLOCK) return ra_block_take(h, kind, ra_size_class(size));
    u64 chunks = (size + RA_CHUNK - 1) >> RA_CHUNK_SHIFT;
    if (chunks > h->super->n_memory) return 0;
    int64_t index = ra_run_claim(h, (u32)chunks, RA_CHUNK_HEAD, kind); /* a run's class says what is in it */
    if (index < 0) return 0;
    u64 offset = ra_chunk_offset(h, (u32)index);
    atomic_store((au64 *)(h->base + offset), 0);
    return offset;
}

/* Word of the chunk in which a block starts at `offset`, 0 where none can: for offsets that another process wrote. */
static inline u64 ra_block_start(ra_heap *h, u64 offset) {
    ra_super *s = h->super;
    if (offset < s->data || offset >= s->data + ((u64)s->n_chunks << RA_CHUNK_SHIFT) || offset % 64) return 0;
    u32 index = ra_chunk_index(h, offset);
    u64 w = atomic_load(&ra_chunk_at(h, index)->word), inside = offset - ra_chunk_offset(h, index);
    u32 kind = RA_CHUNK_KIND(w), cls = RA_CHUNK_CLASS(w);
    if (kind == RA_CHUNK_HEAD) return inside == 0 ? w : 0;
    if (kind < RA_CHUNK_DATA || kind > RA_CHUNK_REC || cls >= RA_CLASSES) return 0;
    return inside % ra_block_size[cls] == 0 && inside / ra_block_size[cls] < ra_blocks_in(cls) ? w : 0;
}

/* Whether `offset` is the start of a block of the given kind. */
static inline int ra_block_check(ra_heap *h, u64 offset, u32 kind) {
    u64 w = ra_block_start(h, offset);
    return w && (RA_CHUNK_KIND(w) == RA_CHUNK_HEAD ? RA_CHUNK_CLASS(w) : RA_CHUNK_KIND(w)) == kind;
}

/* Whether a run starts at `offset`, which has its pages to itself. */
static inline int ra_is_run(ra_heap *h, u64 offset) { return RA_CHUNK_KIND(ra_block_start(h, offset)) == RA_CHUNK_HEAD; }

/* Bytes of the block that starts at `offset`; 0 where none can. */
static inline u64 ra_block_bytes(ra_heap *h, u64 offset) {
    u64 w = ra_block_start(h, offset);
    if (!w) return 0;
    if (RA_CHUNK_KIND(w) != RA_CHUNK_HEAD) return ra_block_size[RA_CHUNK_CLASS(w)];
    u32 index = ra_chunk_index(h, offset), n = atomic_load(&ra_chunk_at(h, index)->length);
    u32 left = (index < h->super->n_memory ? h->super->n_memory : h->super->n_chunks) - index;
    return (u64)(n < left ? n : left) << RA_CHUNK_SHIFT;
}

static inline void ra_free(ra_heap *h, u64 offset) {
    if (!ra_block_start(h, offset)) { /* an offset out of damaged memory */
        RA_ASSERT(!"what is freed is a block");
        return;
    }
    u32 index = ra_chunk_index(h, offset);
    ra_chunk *c = ra_chunk_at(h, index);
    u64 w = atomic_load(&c->word);
    atomic_store((au64 *)(h->base + offset), 0);
    if (RA_CHUNK_KIND(w) == RA_CHUNK_HEAD) {
        ra_run_release(h, index);
        return;
    }
    u64 block = (offset - ra_chunk_offset(h, index)) / ra_block_size[RA_CHUNK_CLASS(w)], bit = 1ull << (block % 64);
    u64 before = atomic_fetch_or(&c->free[block / 64], bit);
    RA_ASSERT(!(before & bit));
    (void)before;
}

/* Return the blocks that this process has taken from its slabs' bitmaps and not yet used. */
static inline void ra_return_unused(ra_heap *h) {
    for (u32 kind = 0; kind < RA_SLAB_KINDS; kind++)
        for (u32 cls = 0; cls < RA_CLASSES; cls++) {
            ra_slabs *s = &h->slabs[kind][cls];
            if (s->bits) atomic_fetch_or(&ra_chunk_at(h, s->chunk - 1)->free[s->word - 1], s->bits);
            s->chunk = 0;
            s->bits = 0;
        }
}

/* Take back slabs in which every block is free, from whoever leases them; for use when the arena is full. Returns how many. */
static inline u32 ra_reclaim_empty(ra_heap *h) {
    ra_return_unused(h);
    u32 n = 0, high = ra_chunks_used(h);
    for (u32 i = 0; i < high; i++) {
        ra_chunk *c = ra_chunk_at(h, i);
        u64 w = atomic_load(&c->word);
        u32 kind = RA_CHUNK_KIND(w), cls = RA_CHUNK_CLASS(w), k;
        if (kind < RA_CHUNK_DATA || kind > RA_CHUNK_REC || cls >= RA_CLASSES) continue;
        for (k = 0; k < RA_BITMAP_WORDS; k++) {
            u64 full = ra_full_bits(cls, k);
            if (!atomic_compare_exchange_strong(&c->free[k], &full, 0)) break;
        }
        if (k == RA_BITMAP_WORDS && atomic_compare_exchange_strong(&c->word, &w, RA_CHUNK_WORD(RA_CHUNK_CLAIMED, 0, h->slot, RA_CHUNK_GEN(w)))) {
            if (RA_CHUNK_OWNER(w) == RA_ORPHAN) atomic_fetch_sub(&h->super->orphans, 1);
            ra_chunk_release(h, i);
            atomic_fetch_sub(&h->super->used, 1);
            n++;
            continue;
        }
        while (k-- > 0) atomic_fetch_or(&c->free[k], ra_full_bits(cls, k));
    }
    return n;
}

#endif
