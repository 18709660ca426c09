/* Layout of the shared arena: every structure that two processes look at.
 *
 * References are offsets from the arena's base, never pointers. Offset 0 is null. Words that more than one process
 * writes are C11 atomics; all other fields are written by one process before it publishes the structure.
 */
#ifndef RA_LAYOUT_H
#define RA_LAYOUT_H

#include <stdatomic.h>
#include <stdint.h>
#include <stddef.h>
#include <string.h>

typedef uint64_t u64;
typedef uint32_t u32;
typedef uint16_t u16;
typedef uint8_t u8;
typedef _Atomic uint64_t au64;
typedef _Atomic uint32_t au32;
typedef _Atomic int32_t ai32;

#define RA_MAGIC 0x636e7973615f6172ULL
#define RA_VERSION 2u
#define RA_CHUNK_SHIFT 16
#define RA_CHUNK ((u64)1 << RA_CHUNK_SHIFT)
#define RA_MAX_PROCS 1024
#define RA_MAX_WAITERS 4096
#define RA_EVENTS_LOG2 16    /* cells in the ring of the node's events */
#define RA_LOOP_RING_LOG2 11 /* cells in the ring of a loop's completions */
#define RA_MAX_CLASSES 4096
#define RA_CLASS_BUCKETS 256
#define RA_BITMAP_WORDS 8
#define RA_SPILL_MINIMUM 65536u /* bytes: smaller payloads stay where they are */

/* ---- chunks ---------------------------------------------------------------------------------------------------- */

enum {
    RA_CHUNK_FREE = 0,
    RA_CHUNK_CLAIMED = 1, /* taken, being set up by its owner */
    RA_CHUNK_DATA = 2,    /* slab of payload blocks */
    RA_CHUNK_OBJ = 3,     /* slab of entries of put objects (payload may follow in the block), actors, queues */
    RA_CHUNK_REC = 4,     /* slab of task records */
    RA_CHUNK_HEAD = 5,    /* first chunk of a large run */
    RA_CHUNK_TAIL = 6,    /* later chunk of a large run */
    RA_CHUNK_HOLDS = 7,   /* a page of a process's hold table */
};
#define RA_SLAB_KINDS 3 /* DATA, OBJ, REC */

/* word: kind 0-7 | size class 8-15 | owner slot 16-31 | generation 32-63. Owner 0xffff: an orphan that anyone may adopt. */
#define RA_ORPHAN 0xffffu
#define RA_CHUNK_WORD(kind, cls, owner, gen) ((u64)(kind) | (u64)(cls) << 8 | (u64)(owner) << 16 | (u64)(u32)(gen) << 32)
#define RA_CHUNK_KIND(w) ((u32)((w)&0xff))
#define RA_CHUNK_CLASS(w) ((u32)((w) >> 8 & 0xff))
#define RA_CHUNK_OWNER(w) ((u32)((w) >> 16 & 0xffff))
#define RA_CHUNK_GEN(w) ((u32)((w) >> 32))

typedef struct {
    au64 word;
    au32 length; /* of a run, in chunks, in its HEAD */
    au32 warm;   /* it may have pages, though it may be free */
    u32 reserved[12];
    au64 free[RA_BITMAP_WORDS]; /* 1: block is free */
} ra_chunk;

/* ---- payloads -------------------------------------------------------------------------------------------------- */

/* Every block begins with a word. 0: free. For payloads, the low byte is the state, the rest the slot of the process that took it. */
enum { RA_PAYLOAD_BUILDING = 1, RA_PAYLOAD_READY = 2 };

typedef struct {
    au64 word;
    u32 n_refs;  /* references inside: u64 entry offsets, right behind this header; the payload pins them */
    u32 n_bufs;  /* out-of-band buffers: pairs (offset from the header, length), behind the references */
    u64 stream;  /* bytes of the in-band stream, behind the buffer table */
} ra_payload;

/* ---- entries --------------------------------------------------------------------------------------------------- */

enum {
    RA_FREE = 0,
    RA_PENDING = 1,
    RA_VALUE = 2,
    RA_ERROR = 3,
    RA_END = 4,     /* no more items in a stream */
    RA_SPILLED = 5, /* payload is a spill file's number */
    RA_LOST = 6,
    RA_BUSY = 7, /* the node or a reader is moving the payload */
    RA_MAKING = 8, /* not published yet; `payload`, where the format has one, is what its maker pins for it */
};

/* Formats of a value. The first ones live in the entry itself. */
enum {
    RA_F_NONE = 0,
    RA_F_TRUE = 1,
    RA_F_FALSE = 2,
    RA_F_INT = 3,
    RA_F_FLOAT = 4,
    RA_F_BYTES = 5,
    RA_F_STR = 6,
    RA_F_FAST = 7,   /* our own compact encoding of small builtin containers */
    RA_F_PICKLE = 8, /* pickle 5, buffers out of band */
    RA_F_ACTOR = 9,  /* the entry is the head of an actor */
    RA_F_RAW = 10,   /* bytes for the engine itself (JSON specs, exported definitions) */
};

enum {
    RA_EF_DEAD = 1,      /* all references went before the value came */
    RA_EF_MULTI = 2,     /* more watchers than the one named */
    RA_EF_EMBEDDED = 4,  /* payload lies in the entry's own block */
    RA_EF_IN_RECORD = 8, /* entry lies in a record */
    RA_EF_RETAINED = 16, /* out-of-band pickled: held to the end of the session */
    RA_EF_STREAM = 32,   /* what readers of a stream hold: its items, and what stands for the call */
};

/* word: state 0-7 | format 8-15 | flags 16-23 | generation 24-39 | watcher 40-63 (waiter index + 1) */
#define RA_STATE(w) ((u32)((w)&0xff))
#define RA_FORMAT(w) ((u32)((w) >> 8 & 0xff))
#define RA_FLAGS(w) ((u32)((w) >> 16 & 0xff))
#define RA_GEN(w) ((u32)((w) >> 24 & 0xffff))
#define RA_WATCHER(w) ((u32)((w) >> 40))
#define RA_WORD(state, format, flags, gen, watcher) \
    ((u64)(state) | (u64)(format) << 8 | (u64)(flags) << 16 | (u64)((gen)&0xffff) << 24 | (u64)(watcher) << 40)

typedef struct {
    au64 word;
    au32 refs;  /* holds of processes and pins of records and payloads */
    au32 views; /* open zero-copy views: the payload must not move */
    u64 payload; /* offset of ra_payload; or the value itself for the first formats; or a spill number */
    u64 size;    /* bytes that the payload takes; of a stream's item that is to come, the offset of the record */
    u64 seq;     /* unique number in the session */
    u64 link;    /* next entry of a stream, which this one pins */
    u32 index;   /* which return of the task */
    u32 owner;   /* slot of the process that made it */
    u32 job;
    au32 copies; /* logical nodes that count as having a copy of a large value: a bit for each */
} ra_entry;

/* ---- records --------------------------------------------------------------------------------------------------- */

enum {
    RA_REC_NEW = 1,
    RA_REC_WAITING = 2,
    RA_REC_QUEUED = 3,
    RA_REC_RUNNING = 4,
    RA_REC_DONE = 5,
    RA_REC_CANCELLED = 6,
};

/* word: state 0-7 | flags 8-15 | attempt 16-31 | generation 32-47 | runner slot 48-63 */
#define RA_R_STATE(w) ((u32)((w)&0xff))
#define RA_R_FLAGS(w) ((u32)((w) >> 8 & 0xff))
#define RA_R_ATTEMPT(w) ((u32)((w) >> 16 & 0xffff))
#define RA_R_GEN(w) ((u32)((w) >> 32 & 0xffff))
#define RA_R_RUNNER(w) ((u32)((w) >> 48))
#define RA_R_WORD(state, flags, attempt, gen, runner) \
    ((u64)(state) | (u64)(flags) << 8 | (u64)((attempt)&0xffff) << 16 | (u64)((gen)&0xffff) << 32 | (u64)(runner) << 48)

enum {
    RA_RF_CANCEL = 1,
    RA_RF_FORCE = 2,
    RA_RF_DELIVERED = 4,     /* what runs knows of the cancel: what it submits from now on is its cleaning up */
    RA_RF_CHILDREN = 8, /* the cancel is one of all that it has submitted, too */
    RA_RF_PARENT = 16,  /* it has submitted something */
    RA_RF_LEFT = 32,    /* cancelled because nobody reads its stream: the node cancels what it has submitted */
};

enum { RA_KIND_TASK = 0, RA_KIND_ACTOR_INIT = 1, RA_KIND_ACTOR_CALL = 2 };
enum {
    RA_KF_STREAM = 1,    /* returns[0] is the first item of a stream */
    RA_KF_DYNAMIC = 2,
    RA_KF_RETRY_ERRORS = 4, /* retry_exceptions; which ones is in opts */
    RA_KF_ASYNC = 8,
    RA_KF_SEPARATE_ARGS = 16, /* args block is not inside the record's block */
    RA_KF_ARGS_FREED = 32,    /* it had arguments, and they are gone: it cannot run again */
    RA_KF_DETACHED = 64,      /* a stream whose producer runs on when nobody reads it */
};

typedef struct {
    au64 word;
    au32 live; /* returns that are still referenced, +1 until the task is over */
    u8 kind;
    u8 kflags;
    u16 n_returns;
    u64 seq;
    u64 parent; /* offset of the record that submitted this one, and the next word its seq: stale offsets are known by it */
    u64 parent_seq;
    u64 fn;     /* entry of the exported function, class or method name; pinned */
    u64 args;   /* ra_payload; 0: no arguments */
    u64 opts;   /* entry with more options; pinned; 0: defaults */
    u64 queue;
    au64 next;  /* overflow list, which counts in `live`; stack of what is being freed */
    u64 actor;
    u32 owner; /* slot */
    u32 job;
    ai32 retries; /* left; -1: infinite */
    u32 scope;    /* the cancel scope that it, or what it was submitted by, was submitted in; 0: none */
    au32 produced, consumed; /* items of a stream */
    au32 consumer_waits;     /* waiter index + 1 of a producer paused by backpressure */
    u32 backpressure;        /* items; 0: off */
    u64 tail;                /* the stream's item that comes next; of other tasks, bytes of arguments kept for them */
    ra_entry returns[];
} ra_record;

/* ---- queues ---------------------------------------------------------------------------------------------------- */

#define RA_QUEUE_WAITERS 256

/* cell: record offset / 64 in 32-63 | generation 16-31 | lap 0-15; offset 0: empty in that lap.

   A queue begins with a small ring. When that is nearly full, a larger one is hung behind it, and the last free cell is
   marked as closed. Rings stay until the queue goes, since a process that was stopped may still look at them. */
typedef struct {
    au64 word; /* block word: never 0 while in use */
    u32 mask;  /* cells - 1 */
    u32 log2;
    u64 actor;
    u32 cls;
    au32 n_waiters; /* how far `waiters` is used */
    au32 sleepers;
    au32 doorbell;
    au64 overflow;
    au32 overflowing;
    u32 most;  /* log2 of the largest ring that it grows to */
    u64 backlog, backlog_end; /* the node's: records taken from the overflow that did not fit yet */
    au64 next;              /* the larger ring that follows this one; 0: none yet */
    au64 pushing, popping;  /* rings where producers and consumers are; 0: this one */
    u64 home;               /* of a further ring: the queue that it belongs to */
    u32 reserved[6];
    au64 head;
    u64 pad1[7];
    au64 tail;
    u64 pad2[7];
    au32 waiters[RA_QUEUE_WAITERS]; /* waiter index + 1 of workers that serve this queue */
    au64 cells[];
} ra_queue;

/* ---- actors ---------------------------------------------------------------------------------------------------- */

enum { RA_ACTOR_PENDING = 1, RA_ACTOR_ALIVE = 2, RA_ACTOR_RESTARTING = 3, RA_ACTOR_DEAD = 4 };

typedef struct {
    ra_entry entry; /* format ACTOR; handles are references to it */
    au32 state;
    au32 slot; /* of its worker */
    u64 queue;
    u64 creation; /* record of __init__ */
    u64 spec;     /* RAW entry: JSON of options; pinned */
    u64 error;    /* entry with the cause of death; pinned */
    u32 job;
    au32 restarts;
    u64 reserved[2];
} ra_actor;

/* ---- scheduling classes ---------------------------------------------------------------------------------------- */

enum { RA_CLASS_FREE = 0, RA_CLASS_BUILDING = 1, RA_CLASS_READY = 2, RA_CLASS_ENDING = 3 };

/* word: state 0-7 | creator's slot 16-31 | generation 32-63 */
#define RA_CLASS_WORD(state, slot, gen) ((u64)(state) | (u64)(slot) << 16 | (u64)(u32)(gen) << 32)
#define RA_CLASS_STATE(w) ((u32)((w)&0xff))
#define RA_CLASS_CREATOR(w) ((u32)((w) >> 16 & 0xffff))
#define RA_CLASS_GEN(w) ((u32)((w) >> 32))

typedef struct {
    au64 word;
    u64 queue; /* 0 while the place is free, as the next one */
    u64 spec;  /* RAW entry: JSON; pinned. Each user holds one more reference, and a record none. */
    u64 hash;
    au32 next; /* class that follows in its bucket */
    u32 reserved[7];
} ra_class;

/* ---- processes and waiters ------------------------------------------------------------------------------------- */

enum { RA_PROC_FREE = 0, RA_PROC_STARTING = 1, RA_PROC_ALIVE = 2, RA_PROC_DEAD = 3 };
enum { RA_PROC_NODE = 1, RA_PROC_DRIVER = 2, RA_PROC_WORKER = 3, RA_PROC_ZYGOTE = 4 };
enum { RA_LEASE_NONE = 0, RA_LEASE_IDLE = 1, RA_LEASE_BUSY = 2, RA_LEASE_ACTOR = 3 };
enum {
    RA_PF_REVOKE = 1,
    RA_PF_CANCEL = 2,
    RA_PF_EXIT = 4,
    RA_PF_ONE_TASK = 8, /* the lease is for a single task */
};

/* lease word: state 0-7 | sequence 8-31 | class or actor offset / 64 in 32-63 */
#define RA_LEASE_WORD(state, seq, what) ((u64)(state) | (u64)((seq)&0xffffff) << 8 | (u64)(u32)(what) << 32)

typedef struct {
    au32 state;
    u32 pid;
    u32 kind;
    u32 uid; /* unique over the session, unlike the slot */
    au64 lease;
    au64 current; /* record that the main thread runs */
    au32 flags;
    au32 blocked;
    au64 holds; /* first page of the hold table */
    au64 idle_since; /* monotonic ns; 0: busy */
    au64 done;       /* tasks finished */
    u32 waiter;      /* index of the main waiter */
    u32 job;
    au64 publishing; /* record that is on its way into a queue */
    u32 node;        /* number of its logical node */
    au32 looking;    /* class whose description it reads: that one does not end */
    au64 serving;    /* queue of the class that it serves: it stays until that is over */
    au64 growing;    /* ring that it hangs behind a queue's */
    u64 reserved[3];
} ra_proc;

enum { RA_WAITER_FREE = 0, RA_WAITER_THREAD = 1, RA_WAITER_LOOP = 2 };

typedef struct {
    au32 kind;
    au32 armed; /* 1: asleep; the futex word */
    ai32 need;  /* completions until a wake-up */
    au32 multi; /* wants to know of every completion that has several watchers */
    au32 rescan; /* something was not put into the ring: look at everything */
    u32 slot;
    u64 queue; /* completion ring of a loop */
    u64 reserved[12];
} ra_waiter;

/* ---- head of the arena ----------------------------------------------------------------------------------------- */

enum { RA_NODE_STARTING = 0, RA_NODE_UP = 1, RA_NODE_DOWN = 2 };

typedef struct {
    u64 magic;
    u32 version;
    u32 n_chunks;
    u8 session[16];
    u64 bytes;      /* length of the mapping */
    u64 limit;      /* bytes that chunks in shared memory may take; there are places for many times as much */
    u64 procs, waiters, classes, events, chunks, data; /* offsets; data: first chunk */
    au32 node_state;
    au32 node_pid;
    au32 node_waiter;
    au32 node_rescan;
    au64 used;      /* chunks in use */
    au64 hint;      /* below it no free chunk is likely */
    au32 high;      /* chunks at and above were never claimed */
    au32 next_uid;
    au32 next_job;
    au32 n_waiters; /* how far the table is used */
    au32 n_classes;
    au32 n_procs;
    au32 orphans; /* slabs whose owner died */
    au32 next_scope;
    au64 lineage;   /* bytes of arguments kept for finished tasks */
    u64 lineage_limit;
    au64 spilled, restored; /* bytes, over the session */
    au64 submitted;
    au32 spill_stuck; /* how often in a row the node found nothing to spill */
    au32 spill_answers; /* how often it has looked */
    au64 spill_budget;
    au64 run_hint; /* as `hint`, for runs */
    u32 n_memory;       /* chunks in shared memory; those behind them lie in the overflow file */
    u32 disk_reserve;   /* thousandths of the file system below it that stay free */
    au64 resident;      /* chunks in shared memory that may have pages */
    au64 overflow;      /* chunks of the overflow file in use */
    au64 overflow_high; /* chunks of it at and above were never claimed */
    au64 on_disk;       /* bytes of spilled objects, as the node counts them */
} ra_super;

/* Events for the node: kind in a cell's generation field, argument in the offset field, in the units of `ra_event_shift`. */
enum {
    RA_EV_DEMAND = 1,
    RA_EV_CLASS = 2,
    RA_EV_WAITING = 3,
    RA_EV_RETURNED = 4,
    RA_EV_IDLE = 5,
    RA_EV_BLOCKED = 6,
    RA_EV_UNBLOCKED = 7,
    RA_EV_ACTOR = 8,
    RA_EV_ACTOR_READY = 9,
    RA_EV_ACTOR_SCOPE = 11,
    RA_EV_ACTOR_DRAIN = 12,
    RA_EV_OVERFLOW = 13,
    RA_EV_FULL = 14,
    RA_EV_WORKER_UP = 15,
    RA_EV_LOST = 18, /* a spilled object is wanted, or not any more */
    RA_EV_CANCEL = 19,
};

#define RA_EVENT_MOST 0xfffffffdu

/* log2 of the unit in which an event's argument is counted: blocks for offsets, pages for sizes; slots and classes as they are. */
static inline u32 ra_event_shift(u32 kind) {
    switch (kind) {
    case RA_EV_WAITING:
    case RA_EV_ACTOR:
    case RA_EV_ACTOR_READY:
    case RA_EV_ACTOR_SCOPE:
    case RA_EV_ACTOR_DRAIN:
    case RA_EV_OVERFLOW:
    case RA_EV_LOST:
    case RA_EV_CANCEL: return 6;
    case RA_EV_FULL: return 12;
    default: return 0;
    }
}

#define RA_AT(base, type, offset) ((type *)((base) + (offset)))

_Static_assert(sizeof(ra_chunk) == 128, "chunk table entries are two cache lines");
_Static_assert(sizeof(ra_entry) == 64, "an entry is one cache line");
_Static_assert(sizeof(ra_record) == 128, "a record's header is two cache lines");
_Static_assert(sizeof(ra_payload) == 24, "payload header");
_Static_assert(sizeof(ra_proc) == 128, "process slot");
_Static_assert(sizeof(ra_waiter) == 128, "waiter");
_Static_assert(sizeof(ra_class) == 64, "a class is one cache line");
_Static_assert(offsetof(ra_queue, head) % 64 == 0, "head on its own line");
_Static_assert(offsetof(ra_queue, tail) % 64 == 0, "tail on its own line");

#endif
