/* Scheduling classes: one for each description, found by its hash, made by who needs it first, ended by the node.

   A user holds a reference to the class's description; the table holds one more. What the class is to be found by is linked
   into a bucket by compare-and-swap on the bucket's word, whose tag changes with each change of the chain: of two processes
   that make the same class at once one finds the other's. Only the node unlinks. */
#ifndef RA_CLASSES_H
#define RA_CLASSES_H

#include "objects.h"

static inline ra_class *ra_class_at(ra_heap *h, u32 id) { return RA_AT(h->base, ra_class, h->super->classes) + id; }
static inline ra_proc *ra_own_proc(ra_heap *h) { return RA_AT(h->base, ra_proc, h->super->procs) + h->slot; }

/* A bucket's word: its first class 0-31 | tag 32-63. */
static inline au64 *ra_class_bucket(ra_heap *h, u64 hash) {
    return RA_AT(h->base, au64, h->super->classes + sizeof(ra_class) * RA_MAX_CLASSES) + hash % RA_CLASS_BUCKETS;
}

#define RA_CLASS_TABLE_BYTES (sizeof(ra_class) * RA_MAX_CLASSES + sizeof(au64) * RA_CLASS_BUCKETS)

static inline u64 ra_class_hash(const u8 *data, u64 n) {
    u64 hash = 0xcbf29ce484222325ull;
    for (u64 i = 0; i < n; i++) hash = (hash ^ data[i]) * 0x100000001b3ull;
    return hash ^ hash >> 32;
}

static inline int ra_class_describes(ra_heap *h, u64 spec, const u8 *data, u64 n) {
    u64 length = 0, at = ra_block_check(h, spec, RA_CHUNK_OBJ) ? ra_payload_stream(h, ra_entry_at(h, spec)->payload, &length) : 0;
    return at && length == n && memcmp(h->base + at, data, n) == 0;
}

/* Be a user of a class, if it is ready and has this description. Returns the slot of the hold, or 0. The class cannot end
   while this process looks; when the node has begun to end it, the state says so. */
static inline u64 ra_class_hold(ra_heap *h, u32 id, u64 hash, const u8 *data, u64 n) {
    ra_class *c = ra_class_at(h, id);
    au32 *looking = &ra_own_proc(h)->looking;
    u64 hold = 0;
    atomic_store(looking, id);
    if (RA_CLASS_STATE(atomic_load(&c->word)) == RA_CLASS_READY && c->hash == hash && ra_class_describes(h, c->spec, data, n))
        hold = ra_hold_alive(h, c->spec);
    atomic_store(looking, 0);
    return hold;
}

/* The class with a description in the chain that begins at `id`, and in `*hold` a hold on it; 0: none. */
static inline u32 ra_class_find(ra_heap *h, u32 id, u32 except, u64 hash, const u8 *data, u64 n, u64 *hold) {
    for (u32 left = RA_MAX_CLASSES; id && id < RA_MAX_CLASSES && left--; id = atomic_load(&ra_class_at(h, id)->next))
        if (id != except && ra_class_at(h, id)->hash == hash && (*hold = ra_class_hold(h, id, hash, data, n))) return id;
    return 0;
}

/* Take a place of the table, for this process alone until ra_class_publish; 0: there is none. */
static inline u32 ra_class_begin(ra_heap *h) {
    for (u32 id = 1; id < RA_MAX_CLASSES; id++) {
        ra_class *c = ra_class_at(h, id);
        u64 w = atomic_load(&c->word);
        if (RA_CLASS_STATE(w) != RA_CLASS_FREE) continue;
        if (!atomic_compare_exchange_strong(&c->word, &w, RA_CLASS_WORD(RA_CLASS_BUILDING, h->slot, RA_CLASS_GEN(w) + 1))) continue;
        u32 seen = atomic_load(&h->super->n_classes);
        while (seen < id + 1 && !atomic_compare_exchange_weak(&h->super->n_classes, &seen, id + 1)) {
        }
        return id;
    }
    return 0;
}

/* Undo a place in state BUILDING. */
static inline void ra_class_abandon(ra_heap *h, u32 id) {
    ra_class *c = ra_class_at(h, id);
    u64 queue = c->queue, spec = c->spec, gen = RA_CLASS_GEN(atomic_load(&c->word));
    c->queue = c->spec = 0;
    ra_in_order();
    atomic_store(&c->word, RA_CLASS_WORD(RA_CLASS_FREE, 0, gen));
    ra_queue_free(h, queue);
    if (spec && ra_entry_check(h, spec)) ra_unpin(h, spec);
}

/* Publish a class whose queue and description are there. Returns its number, or that of an equal one, with a hold on it, which
   another process has published first: then this one, which nobody uses, is the node's to end. */
static inline u32 ra_class_publish(ra_heap *h, u32 id, const u8 *data, u64 n, u64 *hold) {
    ra_class *c = ra_class_at(h, id);
    au64 *bucket = ra_class_bucket(h, c->hash);
    u64 first = atomic_load(bucket);
    atomic_store(&c->word, RA_CLASS_WORD(RA_CLASS_READY, h->slot, RA_CLASS_GEN(atomic_load(&c->word))));
    for (;;) {
        u32 equal = ra_class_find(h, (u32)first, id, c->hash, data, n, hold);
        if (equal) return equal;
        atomic_store(&c->next, (u32)first);
        if (atomic_compare_exchange_strong(bucket, &first, id | ((first >> 32) + 1) << 32)) return id;
    }
}

/* ---- what only the node does ---- */

/* Begin to end a class that has no users: who looks for it from now on finds none. Returns 0 when it has some. */
static inline int ra_class_close(ra_heap *h, u32 id) {
    ra_class *c = ra_class_at(h, id);
    u64 w = atomic_load(&c->word), ending = RA_CLASS_WORD(RA_CLASS_ENDING, RA_CLASS_CREATOR(w), RA_CLASS_GEN(w));
    if (RA_CLASS_STATE(w) != RA_CLASS_READY || !ra_entry_check(h, c->spec)) return 0;
    if (!atomic_compare_exchange_strong(&c->word, &w, ending)) return 0;
    int used = 0;
    for (u32 i = 0, high = atomic_load(&h->super->n_procs); i < high && i < RA_MAX_PROCS; i++)
        used |= atomic_load(&(RA_AT(h->base, ra_proc, h->super->procs) + i)->looking) == id;
    /* After the looks: who has looked before holds it by now. */
    if (!used && atomic_load(&ra_entry_at(h, c->spec)->refs) == 1) return 1;
    atomic_store(&c->word, w);
    return 0;
}

/* A class that was closed has records still. */
static inline void ra_class_reopen(ra_heap *h, u32 id) {
    ra_class *c = ra_class_at(h, id);
    u64 w = atomic_load(&c->word);
    if (RA_CLASS_STATE(w) == RA_CLASS_ENDING) atomic_store(&c->word, RA_CLASS_WORD(RA_CLASS_READY, RA_CLASS_CREATOR(w), RA_CLASS_GEN(w)));
}

/* Whether any process has a lease of the class, or has not left its queue yet. */
static inline int ra_class_is_served(ra_heap *h, u32 id) {
    u64 queue = ra_class_at(h, id)->queue;
    for (u32 i = 0, high = atomic_load(&h->super->n_procs); i < high && i < RA_MAX_PROCS; i++) {
        ra_proc *p = RA_AT(h->base, ra_proc, h->super->procs) + i;
        u64 lease = atomic_load(&p->lease), state = lease & 0xff;
        if ((state == RA_LEASE_IDLE || state == RA_LEASE_BUSY) && lease >> 32 == id) return 1;
        if (queue && atomic_load(&p->serving) == queue) return 1;
    }
    return 0;
}

static inline void ra_class_unlink(ra_heap *h, u32 id) {
    ra_class *c = ra_class_at(h, id);
    au64 *bucket = ra_class_bucket(h, c->hash);
    for (u32 tries = 0; tries < RA_MAX_CLASSES; tries++) {
        u64 first = atomic_load(bucket), tag = ((first >> 32) + 1) << 32;
        u32 at = (u32)first, before = 0;
        for (u32 left = RA_MAX_CLASSES; at && at < RA_MAX_CLASSES && at != id && left--; at = atomic_load(&ra_class_at(h, at)->next)) before = at;
        if (at != id) return; /* its maker was killed before it got there, or found another one */
        u32 next = atomic_load(&c->next);
        if (before) atomic_store(&ra_class_at(h, before)->next, next);
        /* The tag shows whoever is about to link that the chain is not what it has looked through. */
        if (atomic_compare_exchange_strong(bucket, &first, (before ? (u32)first : next) | tag)) return;
    }
}

/* End a class that was closed. Returns 0 while somebody serves it. */
static inline int ra_class_end(ra_heap *h, u32 id) {
    ra_class *c = ra_class_at(h, id);
    u64 w = atomic_load(&c->word), queue = c->queue, spec = c->spec;
    if (RA_CLASS_STATE(w) != RA_CLASS_ENDING || ra_class_is_served(h, id)) return 0;
    ra_class_unlink(h, id);
    c->queue = c->spec = 0;
    atomic_store(&c->word, RA_CLASS_WORD(RA_CLASS_FREE, 0, RA_CLASS_GEN(w)));
    ra_queue_free(h, queue);
    if (ra_entry_check(h, spec)) ra_unpin(h, spec);
    return 1;
}

/* Whether a record may go into its queue, now or once more: it is not over, or a result of it that is large enough to be
   moved may be lost and computed again. */
static inline int ra_record_needs_queue(ra_heap *h, u64 record) {
    ra_record *r = ra_record_at(h, record);
    u32 state = RA_R_STATE(atomic_load(&r->word));
    if (r->kind != RA_KIND_TASK || state == 0 || state == RA_REC_CANCELLED) return 0;
    if (state < RA_REC_DONE) return 1;
    if (atomic_load(&r->retries) == 0 || r->kflags & (RA_KF_STREAM | RA_KF_ARGS_FREED)) return 0;
    for (u32 i = 0, n = ra_record_returns(h, record); i < n; i++) {
        u64 w = atomic_load(&r->returns[i].word);
        if (RA_FLAGS(w) & RA_EF_DEAD || RA_STATE(w) == RA_ERROR) continue;
        if (RA_STATE(w) != RA_VALUE || (ra_has_payload(w) && r->returns[i].size >= RA_SPILL_MINIMUM)) return 1;
    }
    return 0;
}

#endif
