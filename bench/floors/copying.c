/* memcpy of ordinary memory into shared memory: pages that were touched before, and pages that were not. */
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Seconds per copy of `size` bytes into a fresh memfd, after `warm_up` untimed copies; or -errno. */
double copy_into_shared(size_t size, int warm_up, int repeats) {
    double result = 0;
    char *source = malloc(size);
    if (source == 0) return -ENOMEM;
    memset(source, 7, size);
    int fd = memfd_create("bench-copy", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)size) != 0) result = -errno;
    char *target = result == 0 ? mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (result == 0 && target == MAP_FAILED) result = -errno;
    if (result == 0) {
        for (int i = 0; i < warm_up; i++) memcpy(target, source, size);
        double start = now();
        for (int i = 0; i < repeats; i++) memcpy(target, source, size);
        result = (now() - start) / repeats;
        munmap(target, size);
    }
    if (fd >= 0) close(fd);
    free(source);
    return result;
}
