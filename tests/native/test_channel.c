/* Threads over channels: every message arrives once and in order, nobody sleeps past a ring of the bell, closing wakes. */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "channel.h"

enum { SLOTS = 3, WIDTH = 2, MESSAGES = 20000 };

static ra_bell bells[2];
static ra_channel *channels[2]; /* each is read by whoever has the bell of its number */

static void put_message(int reader, u64 number) {
    ra_message *place;
    while ((place = ra_channel_place(channels[reader], SLOTS, WIDTH)) == NULL) ra_relax();
    for (u64 i = 0; i < WIDTH; i++) {
        place[i].entry = number;
        place[i].seq = number + i;
    }
    atomic_fetch_add(&channels[reader]->written, 1);
    ra_bell_ring(&bells[reader]);
}

/* The next number, or 0 once the bell is closed. */
static u64 take_message(int reader) {
    static u64 spin[2] = {RA_BELL_SPIN, RA_BELL_SPIN}; /* each is one reader's */
    ra_message *message;
    while ((message = ra_channel_next(channels[reader], SLOTS, WIDTH)) == NULL) {
        if (atomic_load(&bells[reader].closed)) return 0;
        ra_channel_wait(&bells[reader], channels[reader], 10000000000ull, &spin[reader]);
    }
    u64 number = message[0].entry;
    for (u64 i = 0; i < WIDTH; i++) assert(message[i].entry == number && message[i].seq == number + i);
    atomic_fetch_add(&channels[reader]->read, 1);
    return number;
}

static void *echo(void *argument) {
    (void)argument;
    u64 number;
    while ((number = take_message(1)) != 0) put_message(0, number);
    return NULL;
}

static void *drain(void *argument) {
    (void)argument;
    for (u64 number = 1; number <= MESSAGES; number++) assert(take_message(0) == number);
    return NULL;
}

static void test_round_trips(void) {
    pthread_t other;
    pthread_create(&other, NULL, echo, NULL);
    for (u64 number = 1; number <= MESSAGES; number++) {
        put_message(1, number);
        assert(take_message(0) == number);
    }
    ra_bell_close(&bells[1]);
    pthread_join(other, NULL);
}

static void test_a_stream_through_a_ring_that_fills(void) {
    pthread_t reader;
    pthread_create(&reader, NULL, drain, NULL);
    for (u64 number = 1; number <= MESSAGES; number++) put_message(0, number);
    pthread_join(reader, NULL);
    assert(ra_channel_next(channels[0], SLOTS, WIDTH) == NULL);
    for (u64 i = 0; i < SLOTS; i++) put_message(0, i + 1);
    assert(ra_channel_place(channels[0], SLOTS, WIDTH) == NULL);
}

int main(void) {
    (void)ra_live; /* counts of objects, of which there are none */
    u64 bytes = sizeof(ra_channel) + SLOTS * WIDTH * sizeof(ra_message);
    for (int i = 0; i < 2; i++) {
        channels[i] = aligned_alloc(64, (bytes + 63) / 64 * 64);
        assert(channels[i] != NULL);
        memset(channels[i], 0, bytes);
    }
    test_round_trips();
    test_a_stream_through_a_ring_that_fills();
    free(channels[0]);
    free(channels[1]);
    return 0;
}
