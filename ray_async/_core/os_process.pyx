"""Requests of a process to its operating system: its title, its death with its parent, its orphans, its clock."""

from libc.string cimport memcpy, memset

from ray_async._core.layout cimport ra_command_line, ra_die_with_parent, ra_now_ns, ra_set_subreaper, ra_set_title

# The arguments of the process. A fork has a copy of them at the same place.
cdef char *_line = NULL
cdef size_t _line_size = 0
cdef bint _line_known = False


def die_with_parent(int signal):
    """Have the kernel send ``signal`` to this process when the thread that forked it ends (Linux; elsewhere nothing)."""
    ra_die_with_parent(signal)


def set_subreaper():
    """Become the parent of descendants whose parents end (Linux; elsewhere nothing)."""
    ra_set_subreaper()


def set_title(bytes title, bytes line=None):
    """Name the calling thread, cut at 15 bytes, and the process: what ``ps`` shows as its command line.

    Args:
        title: the thread's name.
        line: the process's; ``title`` by default. It is cut to the room that the arguments have.
    """
    global _line_size, _line_known
    cdef size_t size
    ra_set_title(title)
    if not _line_known:
        _line_size = ra_command_line(&_line)
        _line_known = True
    if line is None:
        line = title
    if _line_size > 1:
        size = min(<size_t>len(line), _line_size - 1)
        memcpy(_line, <char *>line, size)
        memset(_line + size, 0, _line_size - size)


def now_ns():
    """Monotonic clock in nanoseconds, the one that the process table uses."""
    return ra_now_ns()
