/* Round trips between two processes, in C: over a socket pair, and over a futex in shared memory. No spinning. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Seconds that `count` round trips of one byte take, or -errno. */
double socketpair_round_trips(long count) {
    int ends[2];
    char byte = 1;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return -errno;
    pid_t child = fork();
    if (child < 0) return -errno;
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[0]);
        while (read(ends[1], &byte, 1) == 1 && write(ends[1], &byte, 1) == 1) {
        }
        _exit(0);
    }
    close(ends[1]);
    double result = 0, start = 0;
    for (long i = -1; i < count && result == 0; i++) { /* the first round trip, the child's start, is not timed */
        if (i == 0) start = now();
        if (write(ends[0], &byte, 1) != 1 || read(ends[0], &byte, 1) != 1) result = -EPIPE;
    }
    if (result == 0) result = now() - start;
    close(ends[0]);
    waitpid(child, 0, 0);
    return result;
}

/* Whose turn it is: the parent waits for even numbers, the child for odd ones, UINT32_MAX ends it. */
static void wait_while(_Atomic uint32_t *word, uint32_t value) {
    while (atomic_load(word) == value) syscall(SYS_futex, word, FUTEX_WAIT, value, 0, 0, 0);
}

static void hand_over(_Atomic uint32_t *word, uint32_t value) {
    atomic_store(word, value);
    syscall(SYS_futex, word, FUTEX_WAKE, 1, 0, 0, 0);
}

/* Seconds that `count` round trips of one futex word take, or -errno. */
double futex_round_trips(long count) {
    _Atomic uint32_t *word = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (word == MAP_FAILED) return -errno;
    pid_t child = fork();
    if (child < 0) return -errno;
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (uint32_t turn = 0;; turn += 2) {
            wait_while(word, turn);
            if (atomic_load(word) == UINT32_MAX) _exit(0);
            hand_over(word, turn + 2);
        }
    }
    double start = 0;
    uint32_t turn = 0;
    for (long i = -1; i < count; i++, turn += 2) {
        if (i == 0) start = now();
        hand_over(word, turn + 1);
        wait_while(word, turn + 1);
    }
    double result = now() - start;
    hand_over(word, UINT32_MAX);
    waitpid(child, 0, 0);
    munmap((void *)word, 4096);
    return result;
}
