/* What differs between operating systems: shared memory, futexes, wake-up sockets, liveness of processes. */
#ifndef RA_PLATFORM_H
#define RA_PLATFORM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "layout.h"
#include "debug.h"

/* With RA_PORTABLE the ways of other systems are taken on Linux too, which a test does. */
#if defined(__linux__) && !defined(RA_PORTABLE)
#define RA_LINUX 1
#endif

#ifdef RA_LINUX
#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

/* A full fence. ThreadSanitizer knows none; a read-modify-write orders as much as it needs. */
static inline void ra_fence(void) {
#ifdef __SANITIZE_THREAD__
    static au32 word;
    (void)atomic_fetch_add(&word, 1);
#else
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

static inline u64 ra_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

/* Anonymous shared memory that only those who get the descriptor can map. Returns a descriptor or -errno. */
static inline int ra_shared_memory(const char *name) {
#if defined(RA_LINUX) && defined(SYS_memfd_create)
    int fd = (int)syscall(SYS_memfd_create, name, 1u /* MFD_CLOEXEC */);
    if (fd >= 0) return fd;
    if (errno != ENOSYS && errno != EPERM) return -errno;
#endif
    char path[64];
    snprintf(path, sizeof path, "/ra.%d.%llx", (int)getpid(), (unsigned long long)ra_now_ns());
    int shm = shm_open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (shm < 0) return -errno;
    shm_unlink(path);
    (void)name;
    return shm;
}

/* Sleep while *word == expected, at most timeout_ns. Returns 0 when woken or changed, 1 on timeout, 2 when a signal came. */
static inline int ra_futex_wait(au32 *word, u32 expected, u64 timeout_ns) {
#ifdef RA_LINUX
    struct timespec t = {(time_t)(timeout_ns / 1000000000ull), (long)(timeout_ns % 1000000000ull)};
    if (syscall(SYS_futex, (u32 *)word, FUTEX_WAIT, expected, &t, NULL, 0) == 0) return 0;
    if (errno == ETIMEDOUT) return 1;
    return errno == EINTR ? 2 : 0;
#else
    u64 end = ra_now_ns() + timeout_ns;
    while (atomic_load(word) == expected) {
        if (ra_now_ns() >= end) return 1;
        struct timespec t = {0, 50000};
        if (nanosleep(&t, NULL) < 0) return 2;
    }
    return 0;
#endif
}

static inline void ra_futex_wake(au32 *word) {
#ifdef RA_LINUX
    syscall(SYS_futex, (u32 *)word, FUTEX_WAKE, 1, NULL, NULL, 0);
#else
    (void)word;
#endif
}

/* Workers without work look at the state of things by themselves too, more and more seldom as they find nothing. In ns. */
#define RA_FIRST_NAP 500000000ull
#define RA_LONGEST_NAP 4000000000ull

static inline u64 ra_next_nap(u64 nap) { return nap < RA_LONGEST_NAP ? 2 * nap : nap; }

/* Whether a descriptor has something to read now; a pidfd has when its process is gone. */
static inline int ra_readable(int fd) {
    struct pollfd p = {fd, POLLIN, 0};
    return fd >= 0 && poll(&p, 1, 0) > 0;
}

static inline void ra_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

/* Ask to be killed when the parent's thread that forked us ends. */
static inline void ra_die_with_parent(int signal) {
#ifdef RA_LINUX
    prctl(PR_SET_PDEATHSIG, signal);
#else
    (void)signal;
#endif
}

static inline void ra_set_subreaper(void) {
#ifdef RA_LINUX
    prctl(PR_SET_CHILD_SUBREAPER, 1);
#endif
}

static inline void ra_set_title(const char *title) {
#ifdef RA_LINUX
    prctl(PR_SET_NAME, title);
#else
    (void)title;
#endif
}

/* Where the arguments of this process lie, which ps shows; 0 bytes where that is not known. */
static inline size_t ra_command_line(char **start) {
#ifdef RA_LINUX
    char text[1024];
    unsigned long from = 0, to = 0;
    size_t size;
    FILE *file = fopen("/proc/self/stat", "re");
    if (file == NULL)
        return 0;
    size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = 0;
    char *field = strrchr(text, ')'); /* the second field, a name, may hold anything */
    for (int i = 2; field != NULL && i < 48; i++)
        field = strchr(field + 1, ' ');
    if (field == NULL || sscanf(field, " %lu %lu", &from, &to) != 2 || from == 0 || to <= from)
        return 0;
    *start = (char *)from;
    return (size_t)(to - from);
#else
    (void)start;
    return 0;
#endif
}

#endif
