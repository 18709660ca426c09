/* What other systems than Linux use: shared memory without a name, and waits for a word that another process changes. */
#define RA_PORTABLE
#include <assert.h>
#include <dirent.h>
#include <sys/wait.h>

#include "objects.h"

enum { BYTES = 1 << 20, ROUNDS = 200 };

static int named_objects(void) {
    DIR *folder = opendir("/dev/shm");
    int n = 0;
    for (struct dirent *e; folder && (e = readdir(folder)) != NULL;) n += strncmp(e->d_name, "ra.", 3) == 0;
    if (folder) closedir(folder);
    return n;
}

static au32 *map(int fd) {
    void *p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert(p != MAP_FAILED);
    return p;
}

static void test_memory_is_shared_and_has_no_name(void) {
    int before = named_objects(), fd = ra_shared_memory("ignored"), other = ra_shared_memory("ignored");
    assert(fd >= 0 && other >= 0 && fd != other && named_objects() == before);
    assert(ftruncate(fd, BYTES) == 0 && ftruncate(other, BYTES) == 0);
    au32 *ours = map(fd), *unrelated = map(other);
    pid_t child = fork();
    if (child == 0) {
        atomic_store(map(fd) + 1000, 7);
        _exit(0);
    }
    assert(waitpid(child, NULL, 0) == child);
    assert(atomic_load(ours + 1000) == 7 && atomic_load(unrelated + 1000) == 0);
    munmap(ours, BYTES);
    munmap(unrelated, BYTES);
    close(fd);
    close(other);
}

static void test_waits_end_with_a_change_or_the_time(void) {
    int fd = ra_shared_memory("ignored");
    assert(fd >= 0 && ftruncate(fd, BYTES) == 0);
    au32 *word = map(fd);
    assert(ra_futex_wait(word, 1, 1000000000ull) == 0); /* it is something else already */
    assert(ra_futex_wait(word, 0, 1000000) == 1);
    pid_t child = fork();
    for (u32 i = 0; i < ROUNDS; i++) {
        /* Even values are the parent's to change, odd ones the child's. */
        u32 mine = 2 * i + (child == 0);
        while (atomic_load(word) != mine) ra_futex_wait(word, mine - 1, 60000000000ull);
        atomic_store(word, mine + 1);
        ra_futex_wake(word);
    }
    if (child == 0) _exit(0);
    assert(waitpid(child, NULL, 0) == child);
    assert(atomic_load(word) == 2 * ROUNDS);
    munmap(word, BYTES);
    close(fd);
}

int main(void) {
    test_memory_is_shared_and_has_no_name();
    test_waits_end_with_a_change_or_the_time();
    puts("portable: shared memory, waits: ok");
    return 0;
}
