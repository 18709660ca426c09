"""A worker's own slot of the process table: its lease, the flags that the node sets, and events to the node."""

from cpython.exc cimport PyErr_CheckSignals

from ray_async._core.arena cimport Arena, add_counts
from ray_async._core.layout cimport *


def lease_state(u64 lease):
    """The state in a lease word, a `LeaseState`'s number."""
    return lease & 0xff


def leased_class(u64 lease):
    """The scheduling class that a lease word names."""
    return lease >> 32


def leased_actor(u64 lease):
    """The offset of the actor that a lease word names."""
    return lease >> 32 << 6


def busy_lease(u64 lease):
    """The word of the same lease while its worker has something to do."""
    return (lease & ~<u64>0xff) | RA_LEASE_BUSY


cdef class OwnSlot:
    """The slot of this process.

    Args:
        arena: the session's shared memory, joined as a worker.
    """

    cdef Arena arena

    def __init__(self, Arena arena):
        self.arena = arena

    def announce(self, u32 kind, u64 argument):
        """Send an event to the node; the argument is an offset, a slot or a class."""
        ra_event(&self.arena.heap, kind, argument)

    @property
    def flags(self):
        return atomic_load_u32(&proc_at(&self.arena.heap, self.arena.heap.slot).flags)

    @property
    def lease(self):
        return atomic_load_u64(&proc_at(&self.arena.heap, self.arena.heap.slot).lease)

    def clear_flag(self, u32 bits):
        """Take flags back that the node has set for this process."""
        atomic_and_u32(&proc_at(&self.arena.heap, self.arena.heap.slot).flags, ~bits)

    def swap_lease(self, u64 old, u64 new):
        """Change the lease word; False when the node has changed it."""
        cdef ra_heap *h = &self.arena.heap
        cdef ra_proc *p = proc_at(h, h.slot)
        cdef u64 expected = old
        atomic_store_u64(&p.idle_since, ra_now_ns() if (new & 0xff) == RA_LEASE_IDLE else 0)
        return atomic_cas_u64(&p.lease, &expected, new)

    def park(self, u64 seen):
        """Wait for the lease word to become something else than ``seen``; returns it, or 0 when the process is to end."""
        cdef ra_heap *h = &self.arena.heap
        cdef ra_proc *p = proc_at(h, h.slot)
        cdef ra_waiter *w = ra_waiter_at(h, p.waiter)
        cdef u64 lease, nap = RA_FIRST_NAP
        while True:
            atomic_store_u32(&w.armed, 1)
            lease = atomic_load_u64(&p.lease)
            if atomic_load_u32(&p.flags) & RA_PF_EXIT:
                return 0
            if lease != seen and (lease & 0xff) != RA_LEASE_NONE:
                atomic_store_u32(&w.armed, 0)
                return lease
            with nogil:
                ra_futex_wait(&w.armed, 1, nap)
            nap = ra_next_nap(nap)
            PyErr_CheckSignals()

    def give_back(self, u64 served):
        """End a lease from our side and notify the node; returns the word to `park` on.

        The node may have taken the lease back and given the next one meanwhile: that one is left alone, flags included,
        and `park` finds it. A lease is known by all of its word but the state.
        """
        cdef ra_heap *h = &self.arena.heap
        cdef ra_proc *p = proc_at(h, h.slot)
        cdef u64 lease = atomic_load_u64(&p.lease)
        cdef u64 ended = served & ~<u64>0xff
        if (lease & ~<u64>0xff) == ended and ((lease & 0xff) == RA_LEASE_BUSY or (lease & 0xff) == RA_LEASE_IDLE):
            # While the word is ours to end, no flag can be meant for another lease.
            atomic_and_u32(&p.flags, ~RA_PF_REVOKE)
            atomic_store_u64(&p.idle_since, ra_now_ns())
            if atomic_cas_u64(&p.lease, &lease, ended):
                ra_event(h, RA_EV_RETURNED, h.slot)
        return ended


add_counts(RA_LIVE)
