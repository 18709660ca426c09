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

/* Seconds per copy of `size` bytes into a memfd: into the same pages each time, after an untimed copy, or each into fresh pages
   beside those before, which are kept; or -errno. */
double copy_into_shared(size_t size, int fresh, int repeats) {
    double result = 0;
    size_t whole = fresh ? size * (size_t)repeats : size, step = fresh ? size : 0;
    char *source = malloc(size);
    if (source == 0) return -ENOMEM;
    memset(source, 7, size);
    int fd = memfd_create("bench-copy", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)whole) != 0) result = -errno;
    char *target = result == 0 ? mmap(0, whole, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (result == 0 && target == MAP_FAILED) result = -errno;
    if (result == 0) {
        if (!fresh) memcpy(target, source, size);
        double start = now();
        for (int i = 0; i < repeats; i++) memcpy(target + (size_t)i * step, source, size);
        result = (now() - start) / repeats;
        munmap(target, whole);
    }
    if (fd >= 0) close(fd);
    free(source);
    return result;
}
