"""The few things that a process says to its operating system."""

from ray_async._core.layout cimport ra_die_with_parent, ra_now_ns, ra_set_subreaper, ra_set_title


def die_with_parent(int signal):
    """Have the kernel send ``signal`` to this process when the thread that forked it ends (Linux; elsewhere nothing)."""
    ra_die_with_parent(signal)


def set_subreaper():
    """Become the parent of descendants whose parents end (Linux; elsewhere nothing)."""
    ra_set_subreaper()


def set_title(bytes title):
    """Name the calling thread, for ``ps`` and ``top``; cut at 15 bytes."""
    ra_set_title(title)


def now_ns():
    """Monotonic clock in nanoseconds, the one that the process table uses."""
    return ra_now_ns()
