"""Coroutines driven step by step in a context of their own, so that one asyncio task can serve several calls."""

from cpython.contextvars cimport PyContext_Enter, PyContext_Exit
from cpython.ref cimport Py_DECREF, PyObject

from ray_async._core.layout cimport u64
from ray_async._core.submission import set_parent

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    int PyIter_Send(object, object, PyObject **) except -1


cdef inline object taken(PyObject *result):
    """The object behind a new reference, which is given up."""
    value = <object>result
    Py_DECREF(value)
    return value


cdef class Steps:
    """A coroutine that waits for something. Awaiting this goes on with it; its value is the coroutine's."""

    cdef object coroutine, context
    cdef object awaited     # what the first step waits for
    cdef bint told          # the awaiting task knows of it

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        cdef PyObject *result = NULL
        cdef int code
        if not self.told:
            self.told = True
            awaited, self.awaited = self.awaited, None
            return awaited
        PyContext_Enter(self.context)
        try:
            code = PyIter_Send(self.coroutine, None, &result)
        finally:
            PyContext_Exit(self.context)
        if code == PYGEN_NEXT:
            return taken(result)
        raise StopIteration(taken(result))

    def throw(self, error, value=None, traceback=None):
        """Raise an exception where the coroutine waits; returns what it waits for next."""
        self.told = True
        return self.context.run(self.coroutine.throw, error if value is None else value)

    def close(self):
        """End the coroutine where it waits."""
        self.context.run(self.coroutine.close)


def begin(u64 record, coroutine, context):
    """Run a coroutine to its end or until it waits for something, as what ``record`` runs.

    Args:
        context: a context that nothing has entered; the coroutine runs in it, now and later.

    Returns:
        The coroutine's value, or the `Steps` to be awaited.
    """
    cdef PyObject *result = NULL
    cdef int code
    cdef Steps steps
    PyContext_Enter(context)
    try:
        set_parent(record, True)
        code = PyIter_Send(coroutine, None, &result)
    finally:
        PyContext_Exit(context)
    value = taken(result)
    if code == PYGEN_RETURN:
        return value
    steps = Steps.__new__(Steps)
    steps.coroutine, steps.context, steps.awaited = coroutine, context, value
    return steps
