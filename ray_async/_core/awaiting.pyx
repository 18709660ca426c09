"""References as futures of asyncio: awaiting one, and the callbacks that ``asyncio.gather`` and its like put on it.

Whatever waits is a `Watch` of its own in the waiter of its loop, never in the reference: a reference is awaited in several loops,
and each who awaits it can be cancelled without the others. What completes in one wake-up of a loop is run in one go. Watches need
no garbage collection: what they call is let go when it was called, or when the loop or the session ends.
"""

cimport cython
from cpython.contextvars cimport PyContext_CopyCurrent, PyContext_Enter, PyContext_Exit
from cpython.exc cimport PyErr_SetObject
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF

from ray_async._core.arena cimport add_counts, get_current
from ray_async._core.layout cimport *
from ray_async._core.loop_waiter cimport LoopWaiter, Watch
from ray_async._core.object_ref cimport (
    MARK_GIVEN_UP, MARK_KEPT, MARK_TAKEN, MARK_REPORTED, FutureFace, ObjectRef, set_face,
)
from ray_async._core.object_ref import _hooks
from ray_async._core.store cimport read

cdef extern from *:
    """
    /* A value is returned through these without an exception, and its traceback, for each await. */
    typedef PySendResult (*ra_send)(PyObject *, PyObject *, PyObject **);
    typedef PyObject *(*ra_next)(PyObject *);
    static ra_send ra_send_inside;
    static ra_next ra_next_inside;
    /* What an await raises ends with the awaiting frame: the entries of this file would only hide it. */
    static void ra_drop_traceback(void) {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        if (value != NULL && PyExceptionInstance_Check(value)) PyException_SetTraceback(value, Py_None);
        Py_XDECREF(traceback);
        PyErr_Restore(type, value, NULL);
    }
    static PySendResult ra_send_outside(PyObject *awaiter, PyObject *value, PyObject **result) {
        PySendResult found = ra_send_inside(awaiter, value, result);
        if (found == PYGEN_ERROR) ra_drop_traceback();
        return found;
    }
    static PyObject *ra_next_outside(PyObject *awaiter) {
        PyObject *found = ra_next_inside(awaiter);
        if (found == NULL && PyErr_Occurred()) ra_drop_traceback();
        return found;
    }
    static void ra_step_by(PyTypeObject *type, ra_send send, ra_next next) {
        ra_send_inside = send;
        ra_next_inside = next;
        type->tp_as_async->am_send = ra_send_outside;
        type->tp_iternext = ra_next_outside;
        PyType_Modified(type);
    }
    """
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    ctypedef PySendResult (*ra_send)(PyObject *, PyObject *, PyObject **) except PYGEN_ERROR
    ctypedef PyObject *(*ra_next)(PyObject *) except? NULL
    void ra_step_by(PyTypeObject *, ra_send, ra_next)
    PyObject *PyWeakref_GetObject(object)

cdef enum:
    NEW = 0         # not begun
    WATCHING = 1    # the loop's waiter has it
    WOKEN = 2       # there is something to see
    CANCELLED = 3
    OVER = 4        # its value was taken, or it was closed

cdef object running_loop, CancelledError, InvalidStateError, awaitable, report  # what `install` was given
cdef LoopWaiter latest = None   # of the loop that awaited something last
cdef dict kept = {}             # address of a reference → value
cdef object message = None      # of the cancel that a callback is about to see


def install(**functions):
    """Make references futures.

    Args:
        running_loop: function for the loop that runs in this thread, or None.
        cancelled_error: `asyncio.CancelledError`.
        invalid_state_error: `asyncio.InvalidStateError`.
        awaitable: function that turns a StopIteration, which no await can raise, into what is raised instead.
        report: function of loop, callback and exception, for what a callback has raised.
    """
    global running_loop, CancelledError, InvalidStateError, awaitable, report
    running_loop, awaitable, report = functions["running_loop"], functions["awaitable"], functions["report"]
    CancelledError, InvalidStateError = functions["cancelled_error"], functions["invalid_state_error"]
    set_face(Face())


def forget():
    """The session ends: keep nothing of it."""
    global latest
    latest = None


cdef LoopWaiter waiter_here(ObjectRef ref):
    """The running loop's waiter in the reference's session."""
    global latest
    loop = running_loop()
    if loop is None:
        raise RuntimeError("no running event loop")
    if latest is None or latest.arena is not ref.arena or not latest.is_open() or <object>PyWeakref_GetObject(latest.loop) is not loop:
        latest = _hooks["waiter"]()
    return latest


cdef inline u64 word_of(ObjectRef ref) except? 0:
    return atomic_load_u64(&ra_entry_at(&ref.arena.heap, ref.at()).word)


cdef inline bint readable(u64 word) noexcept nogil:
    cdef u32 state = RA_STATE(word)
    return state != RA_PENDING and state != RA_SPILLED and state != RA_BUSY


cdef inline bint session_over(ObjectRef ref):
    return ref.arena is not get_current() or ref.arena.heap.closed


cdef object value_of(ObjectRef ref):
    """The value of a reference that is readable; raises what its task raised."""
    if ref.marks & MARK_KEPT:
        ref.marks &= ~MARK_KEPT
        return kept.pop(<size_t><PyObject *>ref)
    try:
        return read(ref.arena, ref)
    except StopIteration as error:
        raise awaitable(error) from None


cdef int call_in(LoopWaiter waiter, context, callback, argument) except -1:
    """Call back as a loop does: only what is to end the loop is raised."""
    try:
        PyContext_Enter(context)
        try:
            callback(argument)
        finally:
            PyContext_Exit(context)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        report(waiter.loop(), callback, error)
    return 0


@cython.no_gc
cdef class Awaiter(Watch):
    """One ``await`` of a reference: what the task's coroutine iterates over, and the future that the task then waits for.

    As a future it says only that there is something to see: the value is read when the coroutine goes on.
    """

    cdef LoopWaiter waiter
    cdef object callback, context, message, error
    cdef unsigned char state
    cdef bint blocking  # what asyncio wants to know of what a coroutine yields
    cdef bint reads     # wait for the value; else for the object's completion, wherever it is

    cdef bint complete(self) except -1:
        cdef u64 word = word_of(self.ref)
        return readable(word) if self.reads else RA_STATE(word) != RA_PENDING

    cdef int advance(self) except -1:
        """Go on: 1 when the task has to wait, 0 when the value can be taken."""
        cdef LoopWaiter waiter
        if self.state == WATCHING or self.state == OVER:
            raise RuntimeError(
                "await wasn't used with future" if self.state == WATCHING else "cannot reuse already awaited coroutine"
            )
        if self.state == CANCELLED or self.error is not None:
            self._raise()
        while not self.complete():
            waiter = waiter_here(self.ref)
            if waiter.add(self):
                self.waiter, self.state, self.blocking = waiter, WATCHING, True
                waiter.notice()
                return 1
        self.state = OVER
        return 0

    cdef object take(self):
        return value_of(self.ref) if self.reads else None

    cdef _raise(self):
        if self.state == CANCELLED:
            raise CancelledError() if self.message is None else CancelledError(self.message)
        raise self.error

    cdef int detach(self) except -1:
        if self.state == WATCHING:
            self.waiter.remove(self)
        self.state = OVER
        return self.drop()

    # What the waiter says.

    cdef int settle(self, LoopWaiter waiter) except -1:
        if not self.complete() and waiter.add(self):
            return 0
        return self.wake(WOKEN)

    cdef int fail(self, LoopWaiter waiter, error) except -1:
        self.error = error
        return self.wake(WOKEN)

    cdef int wake(self, unsigned char state) except -1:
        self.state = state
        if self.callback is not None:
            self.waiter.request(self)
        return 0

    cdef int drop(self) except -1:
        self.callback = self.context = None
        return 0

    cdef int run(self, LoopWaiter waiter) except -1:
        callback, context = self.callback, self.context
        if callback is not None:
            self.drop()
            call_in(waiter, context, callback, self)
        return 0

    # What the coroutine's interpreter asks.

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        if self.advance():
            return self
        raise StopIteration(self.take())

    def throw(self, error, value=None, traceback=None):
        """Raise an exception where the coroutine waits."""
        self.detach()
        if value is None:
            value = error() if isinstance(error, type) else error
        elif not isinstance(value, BaseException):
            value = error(value)
        raise value if traceback is None else value.with_traceback(traceback)

    def close(self):
        """Wait no more."""
        self.detach()

    # What the task asks.

    @property
    def _asyncio_future_blocking(self):
        return None if self.state == NEW else self.blocking

    @_asyncio_future_blocking.setter
    def _asyncio_future_blocking(self, value):
        self.blocking = value

    def get_loop(self):
        """The loop that it is awaited in."""
        return running_loop() if self.waiter is None else self.waiter.loop()

    def add_done_callback(self, callback, *, context=None):
        """Have the loop call ``callback(self)`` when there is something to see; one callback, the awaiting task's."""
        if self.callback is not None:
            raise RuntimeError("a task awaits this already")
        self.callback = callback
        self.context = PyContext_CopyCurrent() if context is None else context
        if self.state != WATCHING:
            self.waiter.request(self)

    def remove_done_callback(self, callback):
        """Take the callback back. Returns how many there were."""
        if self.callback is None or self.callback != callback:
            return 0
        self.drop()
        return 1

    def cancel(self, msg=None):
        """Wait no more; the task is cancelled. Returns False when there is something to see already."""
        if self.state != WATCHING:
            return False
        self.waiter.remove(self)
        self.message = msg
        self.wake(CANCELLED)
        return True

    def cancelled(self):
        """Whether it was cancelled."""
        return self.state == CANCELLED

    def done(self):
        """Whether there is something to see."""
        return self.state > WATCHING

    def result(self):
        """None, when there is something to see.

        Raises:
            asyncio.CancelledError: it was cancelled.
            RayError: the object will not come.
        """
        if self.state <= WATCHING:
            raise InvalidStateError("Result is not set.")
        if self.state == CANCELLED or self.error is not None:
            self._raise()

    def exception(self):
        """Why the object will not come, or None."""
        if self.state <= WATCHING:
            raise InvalidStateError("Exception is not set.")
        if self.state == CANCELLED:
            self._raise()
        return self.error


@cython.final
@cython.no_gc
cdef class ReferenceCoroutine(Awaiter):
    """An `Awaiter` that is a coroutine, for those who take nothing else: ``asyncio.create_task``, task groups."""

    @property
    def __name__(self):
        return "as_coroutine"

    @property
    def __qualname__(self):
        return "ObjectRef.as_coroutine"

    def __repr__(self):
        return f"<coroutine of {self.ref!r}>"

    def send(self, value):
        """Go on; returns what to wait for, or raises StopIteration with the value."""
        return self.__next__()


cdef PySendResult send_to_awaiter(PyObject *awaiter, PyObject *value, PyObject **result) except PYGEN_ERROR:
    cdef Awaiter this = <Awaiter>awaiter
    if this.advance():
        Py_INCREF(this)
        result[0] = awaiter
        return PYGEN_NEXT
    taken = this.take()
    Py_INCREF(taken)
    result[0] = <PyObject *>taken
    return PYGEN_RETURN


cdef PyObject *next_of_awaiter(PyObject *awaiter) except? NULL:
    cdef Awaiter this = <Awaiter>awaiter
    if this.advance():
        Py_INCREF(this)
        return awaiter
    taken = this.take()
    if taken is not None:
        # An instance, since a tuple or an exception as value would be taken for arguments.
        PyErr_SetObject(StopIteration, StopIteration(taken))
    return NULL


ra_step_by(<PyTypeObject *>Awaiter, send_to_awaiter, next_of_awaiter)
ra_step_by(<PyTypeObject *>ReferenceCoroutine, send_to_awaiter, next_of_awaiter)


def settled(ObjectRef ref):
    """An awaitable for the completion of a reference, which is not read."""
    cdef Awaiter awaiter = Awaiter.__new__(Awaiter)
    awaiter.ref = ref
    return awaiter


@cython.final
@cython.no_gc
cdef class Callback(Watch):
    """A callback that something has put on a reference as on a future."""

    cdef object callback, context, message
    cdef bint takes     # it is the one that `cancel` cancels
    cdef bint cancelled

    cdef int drop(self) except -1:
        self.callback = self.context = None
        return self.release()

    cdef int release(self) except -1:
        if self.takes:
            self.takes = False
            self.ref.marks &= ~MARK_TAKEN
        return 0

    cdef int settle(self, LoopWaiter waiter) except -1:
        if readable(word_of(self.ref)) or not waiter.add(self):
            waiter.request(self)
        return 0

    cdef int fail(self, LoopWaiter waiter, error) except -1:
        return waiter.request(self)  # the reference says by itself what has failed

    cdef int run(self, LoopWaiter waiter) except -1:
        global message
        callback, context = self.callback, self.context
        if callback is None:
            return 0
        self.drop()
        if not self.cancelled:
            self.ref.marks |= MARK_REPORTED
            return call_in(waiter, context, callback, self.ref)
        self.ref.cancelled_in = waiter.index + 1
        message = self.message
        try:
            call_in(waiter, context, callback, self.ref)
        finally:
            message = None
            if callbacks_on(waiter, self.ref):
                self.ref.cancelled_in = 0  # they wait on, for what is not cancelled
        return 0


cdef list callbacks_on(LoopWaiter waiter, ObjectRef ref):
    """The callbacks that are on this very reference, in order."""
    waiting = waiter.pending.get(ref.entry)
    if waiting is None:
        return []
    return [
        watch for watch in (waiting if type(waiting) is dict else (waiting,))
        if type(watch) is Callback and (<Callback>watch).ref is ref
    ]


@cython.final
cdef class Face(FutureFace):
    """References as futures. See docs/architecture/arena.md, "References as futures"."""

    cdef object begin(self, ObjectRef ref, bint coroutine):
        cdef Awaiter awaiter
        if coroutine:
            awaiter = ReferenceCoroutine.__new__(ReferenceCoroutine)
        else:
            awaiter = Awaiter.__new__(Awaiter)
        awaiter.ref, awaiter.reads = ref, True
        return awaiter

    cdef object blocking(self, ObjectRef ref):
        """False: a future. None: asyncio is to make a task that awaits it."""
        if ref.marks & MARK_TAKEN or ref.cancelled_in or session_over(ref) or running_loop() is None:
            return None
        return False

    cdef object loop(self):
        loop = running_loop()
        if loop is None:
            raise RuntimeError("no running event loop")
        return loop

    cdef object add(self, ObjectRef ref, callback, context):
        cdef Callback watch = Callback.__new__(Callback)
        cdef u64 word = word_of(ref)
        cdef LoopWaiter waiter = waiter_here(ref)
        watch.ref, watch.callback = ref, callback
        watch.context = PyContext_CopyCurrent() if context is None else context
        ref.cancelled_in = 0
        while not readable(word):
            if waiter.add(watch):
                waiter.notice()
                break
            word = word_of(ref)
        else:
            waiter.request(watch)
        if not ref.marks & MARK_TAKEN:
            ref.marks |= MARK_TAKEN
            watch.takes = True

    cdef object remove(self, ObjectRef ref, callback):
        cdef LoopWaiter waiter
        cdef Callback watch
        cdef int removed = 0
        if session_over(ref):
            return 0
        waiter = waiter_here(ref)
        for watch in callbacks_on(waiter, ref):
            if watch.callback == callback:
                removed += waiter.remove(watch)
                watch.drop()
        return removed

    cdef object cancel(self, ObjectRef ref, text):
        cdef LoopWaiter waiter
        cdef Callback watch, chosen = None
        if session_over(ref) or running_loop() is None or self.cancelled(ref):
            return False
        waiter = waiter_here(ref)
        for watch in callbacks_on(waiter, ref):
            # Of two loops that have begun to use the reference at once, one has taken it; the first is then the other's.
            if chosen is None or watch.takes:
                chosen = watch
        if chosen is None:
            return False  # nobody waits here, or the callback is about to run
        waiter.remove(chosen)
        chosen.release()
        chosen.cancelled, chosen.message = True, text
        ref.marks |= MARK_GIVEN_UP
        ref.cancelled_in = waiter.index + 1
        waiter.request(chosen)
        return True

    cdef bint cancelled(self, ObjectRef ref) except -1:
        if ref.cancelled_in == 0 or session_over(ref) or running_loop() is None:
            return False
        return ref.cancelled_in == waiter_here(ref).index + 1

    cdef bint done(self, ObjectRef ref) except -1:
        cdef u64 word
        if ref.entry == 0:
            ref.at()
        if session_over(ref) or self.cancelled(ref):
            return True
        word = word_of(ref)
        if readable(word):
            ref.marks |= MARK_REPORTED
            return True
        return ref.arena.heap.node_dead if RA_STATE(word) == RA_PENDING else ref.marks & MARK_REPORTED != 0

    cdef object unfinished(self, ObjectRef ref):
        """Why a reference has no outcome to show: an error to be given, or one to be raised."""
        if session_over(ref):
            return _hooks["ended"]()
        if ref.arena.heap.node_dead:
            return _hooks["node_died"]()
        # Who has given it up may ask once more, after someone else has begun to wait for it.
        return CancelledError() if ref.marks & MARK_GIVEN_UP else None

    cdef object result(self, ObjectRef ref):
        if ref.entry == 0:
            ref.at()
        if self.cancelled(ref):
            raise self.cancelled_error()
        if session_over(ref) or RA_STATE(word_of(ref)) == RA_PENDING:
            error = self.unfinished(ref)
            raise InvalidStateError("Result is not set.") if error is None else error
        return value_of(ref)

    cdef object exception(self, ObjectRef ref):
        cdef u64 word
        if ref.entry == 0:
            ref.at()
        if self.cancelled(ref):
            raise self.cancelled_error()
        word = 0 if session_over(ref) else word_of(ref)
        if word == 0 or RA_STATE(word) == RA_PENDING:
            error = self.unfinished(ref)
            if error is None:
                raise InvalidStateError("Exception is not set.")
            return error
        if ref.marks & MARK_KEPT or not readable(word) or RA_STATE(word) == RA_VALUE and RA_FORMAT(word) <= RA_F_FAST:
            return None
        # A value may fail to load: whoever asks now relies on it that `result` will not raise.
        try:
            kept[<size_t><PyObject *>ref] = value_of(ref)
        except BaseException as error:
            return error.with_traceback(None)  # it is raised elsewhere
        ref.marks |= MARK_KEPT

    cdef object cancelled_error(self):
        return CancelledError() if message is None else CancelledError(message)

    cdef object cancel_message(self):
        return message

    cdef void forget(self, ObjectRef ref) noexcept:
        kept.pop(<size_t><PyObject *>ref, None)


add_counts(RA_LIVE)
