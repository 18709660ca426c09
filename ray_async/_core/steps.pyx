"""Coroutines driven step by step in a context of their own, so that one asyncio task can serve several calls."""

from cpython.contextvars cimport PyContext_Enter, PyContext_Exit
from cpython.object cimport PyObject_Call
from cpython.ref cimport Py_DECREF, PyObject

from ray_async._core.layout cimport u64
from ray_async._core.submission cimport set_parent

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

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        cdef PyObject *result = NULL
        cdef int code
        if not self.reported:
            self.reported = True
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
        self.reported = True
        return self.context.run(self.coroutine.throw, error if value is None else value)

    def close(self):
        """End the coroutine where it waits."""
        self.context.run(self.coroutine.close)


cdef class PlainCall:
    """A call of a coroutine function that is claimed and has nothing to wait for: one return, no options.

    Args:
        executor: it has claimed ``record``, and completes it.
    """

    def __init__(self, executor, u64 record, function, definition, tuple args, dict kwargs):
        self.executor, self.record, self.function, self.definition = executor, record, function, definition
        self.args, self.kwargs = args, kwargs

    def coroutine(self):
        """The function's coroutine, once. The arguments are the coroutine's alone from then on: it may let go of them."""
        function, args, kwargs = self.function, self.args, self.kwargs
        self.function = self.args = self.kwargs = None
        return PyObject_Call(function, args, kwargs)

    def run(self, context):
        """Run the call to its end or until it waits for something.

        Args:
            context: a context that nothing has entered; the coroutine runs in it, now and later.

        Returns:
            None, and the record is completed; or the `Steps` to be awaited, whose value is the record's.

        Raises:
            BaseException: what the function raises, and what `Executor.succeed` does. The record is not completed.
        """
        cdef PyObject *result = NULL
        cdef int code
        cdef Steps steps
        PyContext_Enter(context)
        try:
            set_parent(self.record, True)
            coroutine = self.coroutine()
            code = PyIter_Send(coroutine, None, &result)
            value = taken(result)
            if code == PYGEN_RETURN:
                del coroutine
                self.executor.succeed(self.record, value)
                return None
        finally:
            PyContext_Exit(context)
        steps = Steps.__new__(Steps)
        steps.coroutine, steps.context, steps.awaited = coroutine, context, value
        return steps
