/* Lanes: private mappings of the arena, out of which a process reads large payloads.
 *
 * Libraries that know nothing of read-only memory write into what they were given. In a lane the pages that are written to
 * become the writer's own, as long as nobody else looks at them: each view of a run has a lane of that run to itself, and
 * what it has left behind is dropped before the run is read in that lane again. Who only reads has the shared pages, and
 * finds them mapped already when it reads them once more.
 */
#ifndef RA_LANES_H
#define RA_LANES_H

#include <sys/ioctl.h>
#include <sys/resource.h>

#include "heap.h"

#define RA_LANES 8
#define RA_NO_LANE RA_LANES
#define RA_RESETS 16 /* of so many views of a run after which pages were looked through, one takes all pages with it */

typedef struct {
    u8 *base[RA_LANES]; /* NULL: not mapped yet */
    u8 *busy;           /* for each chunk at which a run begins, the lanes in which it is viewed; NULL: none ever was */
    u8 *left;           /* for each such chunk, of how many views the pages were looked through */
    u64 bytes, chunks;  /* of a lane, and of `busy` and `left` */
    int pagemap;        /* 1 + descriptor of this process's page table; 0: not opened yet, -1: it cannot be searched */
} ra_lanes;

#ifdef RA_LINUX
/* The request PAGEMAP_SCAN of Linux 6.7; headers may be older than the kernel. */
typedef struct {
    u64 size, flags, start, end, walk_end, vec, vec_len, max_pages, inverted, mask, anyof, returned;
} ra_pagemap_scan;
typedef struct {
    u64 start, end, categories;
} ra_page_region;
#define RA_PAGEMAP_SCAN _IOWR('f', 16, ra_pagemap_scan)
enum { RA_PAGE_IS_FILE = 1 << 2, RA_PAGE_IS_PRESENT = 1 << 3, RA_PAGE_IS_SWAPPED = 1 << 4, RA_PAGE_REGIONS = 16 };
#endif

/* A lane in which nobody in this process views the run that begins with chunk `index`; RA_NO_LANE when there is none. */
static inline u32 ra_lane_take(ra_heap *h, ra_lanes *l, u32 index) {
    if (!l->busy) {
        l->bytes = h->super->bytes;
        l->chunks = h->super->n_chunks;
        void *tables = mmap(NULL, 2 * l->chunks, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (tables == MAP_FAILED) return RA_NO_LANE;
        l->busy = (u8 *)tables;
        l->left = l->busy + l->chunks;
    }
#ifdef RA_LINUX
    if (l->pagemap == 0) {
        int table = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
        l->pagemap = table < 0 ? -1 : table + 1;
    }
#endif
    if (l->busy[index] == (1u << RA_LANES) - 1) return RA_NO_LANE;
    u32 lane = (u32)__builtin_ctz(~(u32)l->busy[index]);
    if (!l->base[lane] && !(l->base[lane] = ra_map(h, NULL, MAP_PRIVATE, 0, l->bytes))) return RA_NO_LANE;
    l->busy[index] |= (u8)(1u << lane);
    return lane;
}

/* Drop the pages at `start` that were written to, whichever they are; what was only read has to be mapped again. */
static inline int ra_pages_reset(ra_heap *h, u8 *lane, u64 offset, u64 size) {
#ifdef RA_LINUX
    if (madvise(lane + offset, size, MADV_DONTNEED) == 0) return 1;
#endif
    return ra_map(h, lane + offset, MAP_PRIVATE, offset, size) != NULL; /* locked pages, and systems on which advice is no order */
}

/* Drop the pages that were written to, and them alone where the system knows which these are. Returns 0 when it cannot
   be done: then the range is not to be read in this lane any more. */
static inline int ra_pages_clean(ra_heap *h, ra_lanes *l, u8 *lane, u64 offset, u64 size) {
#ifdef RA_LINUX
    ra_page_region found[RA_PAGE_REGIONS];
    ra_pagemap_scan scan = {.size = sizeof scan, .start = (u64)(lane + offset), .end = (u64)(lane + offset + size)};
    scan.vec = (u64)found;
    scan.vec_len = RA_PAGE_REGIONS;
    scan.inverted = scan.mask = RA_PAGE_IS_FILE; /* a page of one's own is no page of the file */
    scan.anyof = RA_PAGE_IS_PRESENT | RA_PAGE_IS_SWAPPED;
    scan.returned = RA_PAGE_IS_PRESENT;
    while (l->pagemap > 0) {
        int n = ioctl(l->pagemap - 1, RA_PAGEMAP_SCAN, &scan);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) break; /* an older kernel */
        for (int i = 0; i < n; i++)
            if (!ra_pages_reset(h, lane, (u64)((u8 *)found[i].start - lane), found[i].end - found[i].start)) return 0;
        if (scan.walk_end >= scan.end) return 1;
        scan.start = scan.walk_end;
    }
#else
    (void)l;
#endif
    return ra_pages_reset(h, lane, offset, size);
}

/* How many page faults this process has had, 0 where that is not known. Without one, no page of a clean run has become its own. */
static inline u64 ra_faults(void) {
#ifdef RA_LINUX
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) return (u64)usage.ru_minflt + (u64)usage.ru_majflt;
#endif
    return 0;
}

/* A view of the run that begins with chunk `index`, in a lane, goes; its object still keeps the run. `faults` is what there
   were before anybody had the view, or 0. Returns whether the lane is as if nobody had written; other threads may run.

   To look for written pages takes a while for each page that is mapped, to map one again about twice as long. Who reads a
   little of much, each time something else, shall not have to look through all that was ever read; so now and then all
   pages go. */
static inline int ra_lane_clean(ra_heap *h, ra_lanes *l, u32 index, u32 lane, u64 faults) {
    u64 offset = ra_chunk_offset(h, index), size = ra_block_bytes(h, offset);
    if (faults && faults == ra_faults()) return 1;
    if (++l->left[index] % RA_RESETS == 0) return ra_pages_reset(h, l->base[lane], offset, size);
    return ra_pages_clean(h, l, l->base[lane], offset, size);
}

/* The lane that `ra_lane_take` gave is free again; one that could not be cleaned never is. As taking, for one thread at a time. */
static inline void ra_lane_free(ra_lanes *l, u32 index, u32 lane) { l->busy[index] &= (u8)~(1u << lane); }

/* This process reads no more: the lanes stay for the views that exist. */
static inline void ra_lanes_close(ra_lanes *l) {
    if (l->pagemap > 0) close(l->pagemap - 1);
    l->pagemap = -1;
}

static inline void ra_lanes_unmap(ra_lanes *l) {
    ra_lanes_close(l);
    for (u32 i = 0; i < RA_LANES; i++)
        if (l->base[i]) munmap(l->base[i], l->bytes);
    if (l->busy) munmap(l->busy, 2 * l->chunks);
}

#endif
