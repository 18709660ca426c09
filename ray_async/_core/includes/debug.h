/* What debug builds check and count beside their work; nothing of it is in a release build.
 *
 * Each extension module has counts of its own, which it hands to `arena` when it is imported. Objects are counted where
 * their type allocates and frees them, so that neither constructors nor destructors exist for the sake of counting.
 */
#ifndef RA_DEBUG_H
#define RA_DEBUG_H

#ifdef RA_DEBUG

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define RA_LIVE_TYPES 6

typedef struct {
    _Atomic int64_t references, hold_slots;
    int lenient; /* the arena may be damaged, as tests have it: no invariant is certain */
    int n_types;
    struct {
        void *type;
        const char *name;
        _Atomic int64_t live;
        void *(*alloc)(void *, ssize_t);
        void (*free)(void *);
    } types[RA_LIVE_TYPES];
} ra_live_counts;

static ra_live_counts ra_live;

#define RA_COUNT(what, delta) ((void)atomic_fetch_add_explicit(&ra_live.what, delta, memory_order_relaxed))
#define RA_LIVE (&ra_live)
#define RA_ASSERT(condition)                                                                                     \
    do {                                                                                                         \
        if (!ra_live.lenient && !(condition)) {                                                                  \
            fprintf(stderr, "%s:%d: %s: the invariant does not hold: %s\n", __FILE__, __LINE__, __func__, #condition); \
            abort();                                                                                             \
        }                                                                                                        \
    } while (0)

#ifdef Py_PYTHON_H

static int ra_live_index(PyTypeObject *type) {
    for (; type; type = type->tp_base)
        for (int i = 0; i < ra_live.n_types; i++)
            if (ra_live.types[i].type == type) return i;
    return -1;
}

static PyObject *ra_live_alloc(PyTypeObject *type, Py_ssize_t n) {
    int i = ra_live_index(type);
    PyObject *made = (PyObject *)ra_live.types[i].alloc(type, n);
    if (made) RA_COUNT(types[i].live, 1);
    return made;
}

static void ra_live_free(void *object) {
    int i = ra_live_index(Py_TYPE((PyObject *)object));
    RA_COUNT(types[i].live, -1);
    ra_live.types[i].free(object);
}

/* Count the objects of an extension type, which must have no freelist. */
static void ra_count_type(PyObject *object) {
    PyTypeObject *type = (PyTypeObject *)object;
    int i = ra_live.n_types++;
    const char *dot = strrchr(type->tp_name, '.');
    if (i >= RA_LIVE_TYPES) abort();
    ra_live.types[i].type = type;
    ra_live.types[i].name = dot ? dot + 1 : type->tp_name;
    ra_live.types[i].alloc = (void *(*)(void *, ssize_t))type->tp_alloc;
    ra_live.types[i].free = type->tp_free;
    type->tp_alloc = ra_live_alloc;
    type->tp_free = ra_live_free;
}

#endif

#else

typedef struct {
    int64_t references, hold_slots;
    int lenient, n_types;
    struct {
        const char *name;
        int64_t live;
    } types[1];
} ra_live_counts;

#define RA_COUNT(what, delta) ((void)0)
#define RA_LIVE ((ra_live_counts *)0)
#define RA_ASSERT(condition) ((void)0)
#define ra_count_type(type) ((void)(type))

#endif

#define ra_count_reference(delta) RA_COUNT(references, delta)
#define ra_count_slot(delta) RA_COUNT(hold_slots, delta)
#define ra_live_name(counts, i) ((counts)->types[i].name)
#define ra_live_of_type(counts, i) ((counts)->types[i].live)

#endif
