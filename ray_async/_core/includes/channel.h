/* Channels of compiled graphs: rings of references in the arena, with one writer and one reader each.

   A reader has one bell for all channels that it reads: whoever writes into one of them rings it. A ring is never full:
   its writer begins no more executions at a time than the ring has places. A message names an object that its writer
   keeps alive until it was read; its number distinguishes an object from a later one at the same place, should the writer have
   died meanwhile. */
#ifndef RA_CHANNEL_H
#define RA_CHANNEL_H

#include "layout.h"
#include "platform.h"

#define RA_BELL_SPIN 30000ull /* ns: a message this close is not worth a sleep */

typedef struct {
    au32 rung;     /* counts; the reader sleeps on it */
    au32 sleeping; /* the reader sleeps, or is about to */
    au32 closed;
    u32 reserved[13];
} ra_bell;

typedef struct {
    u64 entry; /* 0: no object */
    u64 seq;
} ra_message;

typedef struct {
    au64 written;
    u64 reserved[7];
    au64 read;
    u64 reserved_too[7];
    ra_message messages[];
} ra_channel;

static inline void ra_bell_ring(ra_bell *bell) {
    atomic_fetch_add(&bell->rung, 1);
    if (atomic_load(&bell->sleeping)) ra_futex_wake(&bell->rung);
}

static inline void ra_bell_close(ra_bell *bell) {
    atomic_store(&bell->closed, 1);
    ra_bell_ring(bell);
}

/* The reader's next messages, or NULL when there are none. */
static inline ra_message *ra_channel_next(ra_channel *c, u64 slots, u64 width) {
    u64 read = atomic_load(&c->read);
    return atomic_load(&c->written) == read ? NULL : &c->messages[read % slots * width];
}

/* The writer's next place, or NULL when the ring is full. */
static inline ra_message *ra_channel_place(ra_channel *c, u64 slots, u64 width) {
    u64 written = atomic_load(&c->written);
    return written - atomic_load(&c->read) >= slots ? NULL : &c->messages[written % slots * width];
}

/* Wait until the channel has a message or the bell is closed. Returns 0 then, 1 after the timeout, 2 when a signal came.

   `spin` is the reader's own: how long it looks before it sleeps. After a wait that was longer than that is worth it does
   not look the next time, since its CPU may be what the writer waits for. */
static inline int ra_channel_wait(ra_bell *bell, ra_channel *c, u64 timeout_ns, u64 *spin) {
    u64 start = ra_now_ns(), now = start;
    int code = 0, there;
    do {
        there = atomic_load(&c->written) != atomic_load(&c->read) || atomic_load(&bell->closed);
        if (there) break;
        ra_relax();
        now = ra_now_ns();
    } while (now - start < *spin);
    if (!there) {
        u32 rung = atomic_load(&bell->rung);
        atomic_store(&bell->sleeping, 1);
        if (atomic_load(&c->written) == atomic_load(&c->read) && !atomic_load(&bell->closed))
            code = ra_futex_wait(&bell->rung, rung, timeout_ns);
        atomic_store(&bell->sleeping, 0);
        now = ra_now_ns();
    }
    *spin = now - start <= RA_BELL_SPIN ? RA_BELL_SPIN : 0;
    return code;
}

_Static_assert(sizeof(ra_bell) == 64, "a bell is one cache line");
_Static_assert(sizeof(ra_channel) == 128, "each end of a channel has a cache line");

#endif
