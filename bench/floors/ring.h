/* A ring of messages in shared memory for one producer and one consumer. The consumer sleeps on a futex when there
 * is nothing; the producer wakes it only then. Positions count bytes for ever; a message is a length and its bytes,
 * rounded up to eight, and never wraps: a length of SKIP sends the consumer to the start. */
#ifndef BENCH_RING_H
#define BENCH_RING_H
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RING_BYTES (1u << 20)
#define RING_SKIP UINT32_MAX

typedef struct {
    _Alignas(64) _Atomic uint64_t head;
    _Alignas(64) _Atomic uint64_t tail;
    _Alignas(64) _Atomic uint32_t asleep;
    _Alignas(64) char data[RING_BYTES];
} ring_t;

static inline uint64_t ring_room(uint32_t size) { return (8u + (uint64_t)size + 7u) & ~(uint64_t)7u; }

/* 0, or -1 when the ring has no room for the message now. */
static inline int ring_push(ring_t *ring, const char *bytes, uint32_t size) {
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    uint64_t need = ring_room(size), at = tail % RING_BYTES, skip = 0;
    if (at + need > RING_BYTES) skip = RING_BYTES - at;
    if (tail + skip + need - head > RING_BYTES) return -1;
    if (skip) {
        *(uint32_t *)(ring->data + at) = RING_SKIP;
        tail += skip;
        at = 0;
    }
    *(uint32_t *)(ring->data + at) = size;
    memcpy(ring->data + at + 8, bytes, size);
    atomic_store(&ring->tail, tail + need);
    if (atomic_load(&ring->asleep) && atomic_exchange(&ring->asleep, 0))
        syscall(SYS_futex, &ring->asleep, FUTEX_WAKE, 1, 0, 0, 0);
    return 0;
}

/* The oldest message, waiting for one; it stays valid until ring_pop. */
static inline const char *ring_peek(ring_t *ring, uint32_t *size) {
    for (;;) {
        uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
        while (atomic_load(&ring->tail) == head) {
            atomic_store(&ring->asleep, 1);
            if (atomic_load(&ring->tail) == head) syscall(SYS_futex, &ring->asleep, FUTEX_WAIT, 1, 0, 0, 0);
        }
        atomic_store_explicit(&ring->asleep, 0, memory_order_relaxed);
        uint64_t at = head % RING_BYTES;
        *size = *(uint32_t *)(ring->data + at);
        if (*size != RING_SKIP) return ring->data + at + 8;
        atomic_store_explicit(&ring->head, head + RING_BYTES - at, memory_order_release);
    }
}

static inline void ring_pop(ring_t *ring, uint32_t size) {
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    atomic_store_explicit(&ring->head, head + ring_room(size), memory_order_release);
}
#endif
