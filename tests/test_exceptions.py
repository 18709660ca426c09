from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable

import cloudpickle
import pytest

import ray_async.exceptions as exceptions
from ray_async.exceptions import (
    RAY_EXCEPTION_TYPES,
    ActorDiedError,
    ActorDiedErrorContext,
    ActorUnavailableError,
    AuthenticationError,
    GetTimeoutError,
    NodeDiedError,
    ObjectReconstructionFailedError,
    OwnerDiedError,
    RayActorError,
    RayError,
    RaySystemError,
    RayTaskError,
    ReconstructionFailure,
    TaskCancelledError,
    UnserializableException,
    WorkerCrashedError,
    from_payload,
    payload_text,
    to_payload,
)
from ray_async.exceptions.remote_traceback import clip, format_remote


class Custom(Exception):
    def __init__(self, one: str, two: str) -> None:
        self.one, self.two = one, two

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return Custom, (self.one, self.two)


class BreaksUnpickling(OSError):
    def __init__(self, arg: str) -> None:
        super().__init__()


class HoldsLock(Exception):
    def __init__(self) -> None:
        self.lock = threading.Lock()


class RefusesPickling(HoldsLock):
    def __reduce__(self) -> tuple[object, ...]:
        return HoldsLock, (self.lock, self.missing)


class BreaksRebuilding(Exception):
    def __reduce__(self) -> tuple[object, ...]:
        return int, ("no number",)


class NeedsArgumentsToBeMade(Exception):
    def __new__(cls, a: int, b: int) -> NeedsArgumentsToBeMade:
        return super().__new__(cls, a, b)

    def __init__(self, a: int, b: int) -> None:
        self.total = a + b


class Final(Exception):
    def __init_subclass__(cls) -> None:
        raise TypeError("no subclasses")


class OwnArgs(Exception):
    def __init__(self, text: str) -> None:
        self._text = text

    @property
    def args(self) -> tuple[str]:  # type: ignore[override]
        return (self._text,)

    @property
    def cause(self) -> str:
        return "mine"


def fail(error: BaseException) -> RayTaskError:
    def user_function() -> None:
        raise error

    return failure_of(user_function)


def failure_of(function: Callable[[], object], **more: str) -> RayTaskError:
    try:
        function()
    except BaseException as error:
        return RayTaskError.from_exception(error, function_name="f", proctitle="ray::f", pid=7, ip="10.0.0.1", **more)
    raise AssertionError("the function did not raise")


def through_store(error: BaseException) -> BaseException:
    return from_payload(to_payload(error))


def refuse(value: object) -> bytes:
    raise pickle.PicklingError(f"not {value!r}")


def test_each_class_has_one_home_and_one_root() -> None:
    assert len(set(RAY_EXCEPTION_TYPES)) == len(RAY_EXCEPTION_TYPES)
    for cls in RAY_EXCEPTION_TYPES:
        assert issubclass(cls, RayError)
        assert cls.__module__ == "ray_async.exceptions"
        assert getattr(exceptions, cls.__name__) is cls
        assert cls.__name__ in exceptions.__all__
        assert cls.__name__ in (exceptions.__doc__ or "")


@pytest.mark.parametrize(
    ("name", "bases"),
    [
        ("GetTimeoutError", (RayError, TimeoutError)),
        ("ActorAlreadyExistsError", (ValueError, RayError)),
        ("ActorHandleNotFoundError", (ValueError, RayError)),
        ("ActorDiedError", (RayActorError,)),
        ("ActorUnavailableError", (RayActorError,)),
        ("ReferenceCountingAssertionError", (exceptions.ObjectLostError, AssertionError)),
        ("RayChannelTimeoutError", (exceptions.RayChannelError, TimeoutError)),
        ("RayChannelError", (RaySystemError,)),
        ("OwnerDiedError", (exceptions.ObjectLostError,)),
    ],
)
def test_bases(name: str, bases: tuple[type, ...]) -> None:
    assert getattr(exceptions, name).__bases__ == bases


INSTANCES = [
    ActorDiedError(),
    ActorDiedError(ActorDiedErrorContext(b"\x01" * 16, "it fell", class_name="A", pid=3, preempted=True)),
    ActorUnavailableError("it restarts.", b"\x02" * 16),
    AuthenticationError("wrong token"),
    GetTimeoutError("after 3 s"),
    NodeDiedError(message="node 1 ended"),
    ObjectReconstructionFailedError("ab", ReconstructionFailure.PUT, call_site="x.py:3"),
    OwnerDiedError("ab", "here", ""),
    RaySystemError(ValueError("x"), "tb"),
    TaskCancelledError("TaskID(00)", "by hand"),
    WorkerCrashedError("killed by signal 9"),
    exceptions.ActorAlreadyExistsError(error_message="name taken"),
    exceptions.RpcError("lost", rpc_code=14),
    exceptions.RuntimeEnvSetupError(error_message="no pip"),
]


@pytest.mark.parametrize("error", INSTANCES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("copier", [lambda e: pickle.loads(pickle.dumps(e)), through_store, copy.copy])
def test_copies_are_equal(error: RayError, copier: Callable[[BaseException], BaseException]) -> None:
    twin = copier(error)
    assert type(twin) is type(error)
    assert str(twin) == str(error)
    assert {**vars(twin), "client_exc": None} == {**vars(error), "client_exc": None}


def test_actor_errors_carry_their_facts() -> None:
    context = ActorDiedErrorContext(
        b"\x01" * 16, "it fell", class_name="A", name="n", ray_namespace="s", pid=3, node_ip_address="::1"
    )
    error = ActorDiedError(context)
    assert error.actor_id == "01" * 16
    assert not error.actor_init_failed
    for part in ("class_name: A", "name: n", "namespace: s", "pid: 3", "ip: ::1", "it fell"):
        assert part in str(error)
    assert ActorDiedError(ActorDiedErrorContext("", "x", preempted=True)).preempted
    failed = ActorDiedError.from_task_error(fail(ValueError("bad start")))
    assert failed.actor_init_failed
    assert "error raised in its creation task, ray::f() (pid=7" in str(failed)
    assert str(failed).endswith("ValueError: bad start")
    plain = RayActorError()
    assert (plain.actor_id, str(plain), plain.preempted) == (None, RayActorError.BASE_ERROR_MSG, False)


def test_messages_name_the_reason() -> None:
    assert "put()" in str(ObjectReconstructionFailedError("ab", ReconstructionFailure.PUT))
    assert str(TaskCancelledError("t", "why")) == "Task: t was cancelled. why"
    assert "full" in str(exceptions.ObjectStoreFullError())
    assert str(exceptions.ObjectStoreFullError("no room for 4 MiB")) == "no room for 4 MiB"


def test_authentication_error_tells_the_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert "currently 'disabled'" in str(AuthenticationError("no"))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    assert "currently" not in str(AuthenticationError("no"))


def test_dual_is_both_and_looks_like_the_cause() -> None:
    dual = fail(Custom("1", "2")).as_instanceof_cause()
    assert isinstance(dual, Custom)
    assert type(dual).__name__ == "RayTaskError(Custom)"
    assert (dual.one, dual.two) == ("1", "2")
    assert dual.args == (dual.cause,)
    assert (dual.function_name, dual.pid, dual.ip) == ("f", 7, "10.0.0.1")
    assert dual.as_instanceof_cause() is dual
    assert not hasattr(dual, "three")


@pytest.mark.parametrize("copier", [lambda e: pickle.loads(pickle.dumps(e)), through_store, copy.copy])
def test_dual_survives_copies(copier: Callable[[BaseException], BaseException]) -> None:
    dual = fail(Custom("1", "2")).as_instanceof_cause()
    twin = copier(dual)
    assert isinstance(twin, RayTaskError) and isinstance(twin, Custom)
    assert (twin.one, twin.two, str(twin)) == ("1", "2", str(dual))


def test_dual_of_a_local_class_survives_cloudpickle() -> None:
    class Local(Exception):
        pass

    twin = cloudpickle.loads(cloudpickle.dumps(fail(Local("x")).as_instanceof_cause()))
    assert isinstance(twin, RayTaskError)
    assert str(twin.cause) == "x"


def test_dual_has_fields_that_builtins_keep_in_c() -> None:
    dual = fail(FileNotFoundError(2, "gone", "/x")).as_instanceof_cause()
    assert isinstance(dual, FileNotFoundError)
    assert (dual.errno, dual.strerror, dual.filename) == (2, "gone", "/x")
    code = fail(SystemExit(4)).as_instanceof_cause()
    assert isinstance(code, SystemExit) and code.code == 4
    decode = fail(UnicodeDecodeError("ascii", b"\xff", 0, 1, "bad")).as_instanceof_cause()
    assert isinstance(decode, UnicodeDecodeError) and decode.end == 1


@pytest.mark.parametrize("cause", [KeyboardInterrupt("k"), GeneratorExit(), asyncio.CancelledError(), StopIteration(3)])
def test_dual_of_base_exceptions(cause: BaseException) -> None:
    dual = through_store(fail(cause)).as_instanceof_cause()
    assert isinstance(dual, type(cause))
    assert isinstance(dual, RayTaskError)


async def test_awaitable_form_fits_into_a_future() -> None:
    for cause, kind in ((StopIteration(3), RayTaskError), (KeyError("k"), KeyError)):
        future = asyncio.get_running_loop().create_future()
        future.set_exception(fail(cause).as_awaitable_cause())
        with pytest.raises(kind) as caught:
            await future
        assert vars(caught.value)["cause"] is cause


def test_dual_of_a_class_with_its_own_new() -> None:
    dual = fail(NeedsArgumentsToBeMade(1, 2)).as_instanceof_cause()
    assert isinstance(dual, NeedsArgumentsToBeMade)
    assert dual.total == 3


def test_dual_of_a_class_with_read_only_args_and_cause() -> None:
    error = fail(OwnArgs("boom"))
    dual = error.as_instanceof_cause()
    assert OwnArgs in type(dual).__mro__
    assert dual.cause is error.cause
    assert dual.args == (dual.cause,)


class HasDefaults(Exception):
    status = 0
    pid = 0

    def __init__(self) -> None:
        self.status, self.pid = 5, 6

    def __reduce_ex__(self, protocol: object) -> tuple[type, tuple[()]]:
        return HasDefaults, ()


def test_users_attributes_win_in_the_dual() -> None:
    cause = HasDefaults()
    cause.add_note("look here")
    dual = fail(cause).as_instanceof_cause()
    assert isinstance(dual, HasDefaults)
    assert (dual.status, dual.pid) == (5, 6)
    assert isinstance(through_store(dual), RayTaskError)
    assert str(dual).count("look here") == 1
    assert "look here" not in "".join(traceback.format_exception(dual)).replace(str(dual), "")


@pytest.mark.parametrize("cause", [ActorDiedError(), TaskCancelledError("t"), NodeDiedError("n")])
def test_dual_of_an_error_of_the_tree(cause: RayError) -> None:
    dual = through_store(fail(cause)).as_instanceof_cause()
    assert isinstance(dual, type(cause)) and isinstance(dual, RayTaskError)
    assert f"{type(cause).__name__}: {cause}" in str(dual)


def test_dual_of_a_group_is_matched_by_except_star() -> None:
    dual = fail(ExceptionGroup("two", [ValueError(1), TypeError(2)])).as_instanceof_cause()
    assert isinstance(dual, ExceptionGroup)
    assert [type(e) for e in dual.exceptions] == [ValueError, TypeError]
    caught = []
    try:
        raise dual
    except* ValueError as group:
        caught.append(len(group.exceptions))
    except* TypeError as group:
        caught.append(len(group.exceptions))
    assert caught == [1, 1]
    again = through_store(dual)
    assert isinstance(again, ExceptionGroup) and isinstance(again, RayTaskError)


def test_what_cannot_be_combined_stays_plain(caplog: pytest.LogCaptureFixture) -> None:
    error = fail(Final("x"))
    with caplog.at_level(logging.WARNING, logger="ray_async.exceptions"):
        assert error.as_instanceof_cause() is error
    assert "This exception is raised as RayTaskError only." in caplog.text
    assert "`ray_task_error.cause` to access the user exception" in caplog.text
    with pytest.raises(TypeError):
        error.make_dual_exception_instance()


def test_bare_exception_needs_no_dual() -> None:
    error = fail(Exception("x"))
    assert error.as_instanceof_cause() is error


def test_unpicklable_cause_becomes_text() -> None:
    error = through_store(fail(RefusesPickling()))
    assert type(error) is RayTaskError
    assert type(error.cause) is RayError
    assert "RefusesPickling isn't serializable" in str(error.cause)
    assert "in user_function" in str(error.cause)


def test_cause_that_cannot_be_rebuilt_keeps_its_text() -> None:
    error = through_store(fail(BreaksRebuilding("asdf")))
    assert type(error) is RayTaskError
    assert (error.function_name, error.pid) == ("f", 7)
    assert "in user_function" in str(error)
    assert str(error).endswith("BreaksRebuilding: asdf")
    assert type(error.cause) is UnserializableException
    assert "in user_function" in str(error.cause)
    assert "It could not be rebuilt: ValueError: invalid literal" in str(error.cause)
    dual = error.as_instanceof_cause()
    assert isinstance(dual, UnserializableException) and isinstance(dual, RayTaskError)


def test_unpicklable_plain_error_keeps_its_text() -> None:
    error = through_store(RaySystemError(threading.Lock()))
    assert type(error) is RaySystemError
    assert str(error).startswith("System error: <unlocked")
    payload = to_payload(RaySystemError("lost"), dumps=refuse, dumps_forgiving=refuse)
    assert type(from_payload(payload)) is UnserializableException
    assert "System error: lost" in str(from_payload(payload))


def test_payload_of_a_foreign_error_and_of_garbage() -> None:
    assert isinstance(through_store(ValueError("x")), ValueError)
    payload = to_payload(fail(ValueError("text \udc80 stands apart")))
    assert "ValueError: text" in payload_text(payload)
    for damaged in (b"", b"RAE1", b"XXXX" + payload[4:], payload[:20]):
        assert isinstance(from_payload(damaged), RaySystemError)
        with pytest.raises(ValueError, match="no error payload"):
            payload_text(damaged)
    assert isinstance(from_payload(payload[:-3]), UnserializableException)
    number = to_payload(ValueError(), dumps=lambda error: pickle.dumps(3))
    assert "holds a int" in str(from_payload(memoryview(number)))


def test_no_damage_to_a_payload_raises() -> None:
    payload = to_payload(fail(Custom("1", "2")))
    for end in range(len(payload)):
        assert isinstance(from_payload(payload[:end]), UnserializableException | RaySystemError)
    for place in range(12):
        flipped = bytearray(payload)
        flipped[place] ^= 0x80
        assert isinstance(from_payload(flipped), RayError), place


def test_custom_pickler_is_used() -> None:
    payload = to_payload(fail(HoldsLock()), dumps=lambda error: pickle.dumps(ValueError("registered")))
    error = from_payload(payload)
    assert isinstance(error, RayTaskError)
    assert repr(error.cause) == "ValueError('registered')"


def test_bytes_of_an_error() -> None:
    error = RayError.from_bytes(NodeDiedError("gone").to_bytes())
    assert type(error) is NodeDiedError and error.message == "gone"


def test_text_has_header_user_frames_and_error() -> None:
    error = failure_of(lambda: int("x"), actor_repr="A()", actor_id="ab")
    lines = str(error).splitlines()
    assert lines[0] == "ray::f() (pid=7, ip=10.0.0.1, actor_id=ab, repr=A())"
    assert lines[1].startswith('  File "')
    assert lines[-1] == "ValueError: invalid literal for int() with base 10: 'x'"
    assert "Traceback" not in str(error)


def test_own_frames_are_dropped_but_never_all() -> None:
    code = compile("def call(f):\n    return f()\n", exceptions.__file__, "exec")
    space: dict[str, Callable[..., object]] = {}
    exec(code, space)
    error = failure_of(lambda: space["call"](lambda: int("x")))
    assert exceptions.__file__ not in str(error)
    assert str(error).count("in <lambda>") == 2
    own = compile("def broken():\n    raise KeyError(1)\n", exceptions.__file__, "exec")
    exec(own, space)
    try:
        space["broken"]()
    except KeyError as raised:
        raised.__traceback__ = raised.__traceback__ and raised.__traceback__.tb_next
        assert exceptions.__file__ in format_remote(raised)


def test_chains_are_kept() -> None:
    def chained() -> None:
        try:
            int("x")
        except ValueError as error:
            raise KeyError("outer") from error

    error = failure_of(chained)
    text = str(error)
    assert text.startswith("ray::f()")
    assert "ValueError: invalid literal" in text
    assert "direct cause" in text
    assert text.endswith("KeyError: 'outer'")
    assert type(error.cause) is KeyError


def test_nested_task_error_keeps_cause_and_both_headers() -> None:
    inner = RayTaskError.from_exception(
        ZeroDivisionError("by zero"), function_name="bar", proctitle="ray::bar", pid=8, ip="::1"
    ).as_instanceof_cause()
    outer = fail(inner)
    assert type(outer.cause) is ZeroDivisionError
    text = str(outer)
    assert "ray_async.exceptions.RayTaskError(ZeroDivisionError): ray::bar() (pid=8, ip=::1)" in text
    assert text.endswith("ZeroDivisionError: by zero")


def test_dependency_failures_say_so() -> None:
    first = fail(ValueError("b failed")).as_instanceof_cause()
    second = RayTaskError.from_dependency(first, function_name="a", proctitle="ray::a", pid=8, ip="::1")
    assert str(second).splitlines()[:3] == [
        "ray::a() (pid=8, ip=::1)",
        "  At least one of the input arguments for this task could not be computed:",
        "ray_async.exceptions.RayTaskError: ray::f() (pid=7, ip=10.0.0.1)",
    ]
    assert isinstance(second.as_instanceof_cause(), ValueError)
    dead = RayTaskError.from_dependency(NodeDiedError("n"), function_name="a", proctitle="ray::a", pid=8, ip="::1")
    assert isinstance(dead.as_instanceof_cause(), NodeDiedError)


def test_error_group_text_starts_with_the_header() -> None:
    text = str(fail(ExceptionGroup("two", [ValueError(1)])))
    assert text.startswith("ray::f() (pid=7, ip=10.0.0.1)\n")
    assert "two (1 sub-exception)" in text


def test_text_is_bounded() -> None:
    error = fail(ValueError("start" + "\N{SNOWMAN}" * 10**6 + "end"))
    assert len(error.traceback_str.encode()) <= 512 * 1024
    assert error.traceback_str.endswith("end")
    assert "bytes left out" in error.traceback_str
    assert clip("short") == "short"


def test_deep_recursion_is_short() -> None:
    def forever() -> None:
        forever()

    text = str(failure_of(forever))
    assert "RecursionError" in text
    assert text.count("in forever") < 10


def test_constructor_with_defaults() -> None:
    error = RayTaskError(function_name="g", traceback_str="test traceback", cause=ValueError("x"))
    assert error.proctitle == "ray::g"
    assert "test traceback" in str(error)
    assert error.args[:2] == ("g", "test traceback")


def test_import_is_light() -> None:
    heavy = "('cloudpickle', 'numpy', 'asyncio')"
    code = f"import sys, ray_async.exceptions; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
