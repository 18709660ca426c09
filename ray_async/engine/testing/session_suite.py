"""The suite that every engine's session passes: what the API relies on, asked of the seam alone."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from ray_async import exceptions as errors
from ray_async.engine.groups import GroupDescription
from ray_async.engine.protocol import ActorCore, Session
from ray_async.engine.state import StateKind
from ray_async.spec.actor_options import ActorOptions
from ray_async.spec.descriptors import ClassDescriptor, FunctionDescriptor
from ray_async.spec.method_options import MethodOptions
from ray_async.spec.task_options import TaskOptions

__all__ = ("SessionSuite",)

_LIMIT_S = 60.0


def _double(x: Any) -> Any:
    return 2 * x


def _fail(text: str) -> None:
    raise KeyError(text)


def _count(n: int) -> Any:
    yield from range(n)


def _sleep(seconds: float) -> None:
    time.sleep(seconds)


class _Counter:
    def __init__(self, start: int = 0) -> None:
        self.n = start

    def add(self, k: int = 1) -> int:
        self.n += k
        return self.n


class SessionSuite:
    """Checks of a session; each method that begins with ``test_`` is one, and may run on its own in any order.

    Make a subclass in a test module, and give it the session of the engine that is under test, connected, with at least
    two CPUs and nothing running; it is used for all checks and is not closed:

        @pytest.fixture(scope="module")
        def session(): ...

        class TestMyEngine(SessionSuite): ...
    """

    # -- tasks ---------------------------------------------------------------------------------------------------------

    def test_a_task_gives_its_value(self, session: Session) -> None:
        """A call gives a reference at once, and `get` its value."""
        assert self._get(session, self._call(session, _double, 21)) == 42

    def test_values_come_in_the_order_of_their_references(self, session: Session) -> None:
        """`get` of several is in their order, not in that of their ends."""
        refs = [self._call(session, _double, n) for n in range(20)]
        assert session.get(refs[::-1], _LIMIT_S) == [2 * n for n in range(20)][::-1]

    def test_a_reference_as_an_argument_is_its_value(self, session: Session) -> None:
        """Tasks are chained by their references."""
        assert self._get(session, self._call(session, _double, self._call(session, _double, 5))) == 20

    def test_an_error_keeps_its_type(self, session: Session) -> None:
        """What a function raises is raised where its value is asked for, as an error of tasks and of its own class."""
        try:
            self._get(session, self._call(session, _fail, "no such thing"))
        except KeyError as error:
            assert isinstance(error, errors.RayTaskError)
            assert "no such thing" in str(error)
        else:
            raise AssertionError("no error was raised")

    def test_a_generator_gives_a_reference_for_each_item(self, session: Session) -> None:
        """A streaming call gives references one by one."""
        template = session.task_template(
            FunctionDescriptor(_count), TaskOptions.resolve({"num_returns": "streaming"}, is_generator=True)
        )
        assert [self._get(session, ref) for ref in template((4,), None)] == [0, 1, 2, 3]

    def test_a_cancelled_task_says_so(self, session: Session) -> None:
        """A task that is cancelled ends with the error of cancelled tasks, long before it would have."""
        ref = self._call(session, _sleep, 600)
        session.cancel(ref, False, True)
        self._raises(errors.TaskCancelledError, session, ref)

    def test_the_end_of_a_scope_cancels_what_it_started(self, session: Session) -> None:
        """`cancel_scope` reaches what was submitted in the scope, and nothing else."""
        scope, token = session.enter_scope()
        try:
            inside = self._call(session, _sleep, 600)
        finally:
            session.leave_scope(token)
        outside = self._call(session, _double, 1)
        session.cancel_scope(scope)
        self._raises(errors.TaskCancelledError, session, inside)
        assert self._get(session, outside) == 2

    # -- objects -------------------------------------------------------------------------------------------------------

    def test_what_was_put_comes_back(self, session: Session) -> None:
        """`put` and `get` give an equal value."""
        value = {"a": [1, 2.5, "text"], "b": b"bytes" * 100_000}
        assert self._get(session, session.put(value)) == value

    def test_get_keeps_to_its_timeout(self, session: Session) -> None:
        """A value that is not there in time is an error of timeouts, and the task goes on."""
        ref = self._call(session, _sleep, 600)
        try:
            self._raises(errors.GetTimeoutError, session, ref, timeout=0.2)
        finally:
            session.cancel(ref, True, True)

    def test_wait_parts_what_is_ready_from_the_rest(self, session: Session) -> None:
        """`wait` gives as many as it was asked for, both lists in the order of the references."""
        slow = self._call(session, _sleep, 600)
        quick = [session.put(n) for n in range(3)]
        ready, rest = session.wait([slow, *quick], 2, _LIMIT_S, True)
        session.cancel(slow, True, True)
        assert ready == quick[:2]
        assert rest == [slow, quick[2]]

    def test_references_arrive_on_a_loop(self, session: Session) -> None:
        """A reference is awaited on an event loop."""

        async def run() -> Any:
            return await self._call(session, _double, 4)

        assert asyncio.run(asyncio.wait_for(run(), _LIMIT_S)) == 8

    def test_objects_say_where_they_are(self, session: Session) -> None:
        """`locations` gives sizes and nodes of objects."""
        (place,) = session.locations([session.put(b"x" * 1_000_000)])
        assert (place["object_size"] or 0) >= 1_000_000
        assert place["node_ids"]

    # -- actors --------------------------------------------------------------------------------------------------------

    def test_calls_of_an_actor_are_in_order(self, session: Session) -> None:
        """An actor keeps its state, and takes one caller's calls in their order."""
        actor = self._actor(session, 10)
        refs = [self._add(session, actor) for _ in range(20)]
        assert session.get(refs, _LIMIT_S) == list(range(11, 31))

    def test_a_killed_actor_says_so(self, session: Session) -> None:
        """Calls of an actor that was killed are errors of dead actors."""
        actor = self._actor(session)
        assert self._get(session, self._add(session, actor)) == 1
        session.kill_actor(actor, True)
        self._raises(errors.RayActorError, session, self._add(session, actor))

    def test_a_named_actor_is_found(self, session: Session) -> None:
        """A name finds the same actor, is listed, and is free again once the actor is dead."""
        actor = self._actor(session, name="suite-counter")
        self._get(session, self._add(session, actor))
        found, meta = session.get_actor("suite-counter", None)
        assert found.actor_id == actor.actor_id
        assert meta.find("add") is not None
        assert "suite-counter" in {row["name"] for row in session.list_named_actors(False)}
        session.kill_actor(actor, True)
        self._raises(errors.RayActorError, session, self._add(session, actor))
        try:
            session.get_actor("suite-counter", None)
        except ValueError:
            return
        raise AssertionError("a dead actor is found by its name")

    # -- doors ---------------------------------------------------------------------------------------------------------

    def test_a_group_that_fits_is_ready(self, session: Session) -> None:
        """A group is reserved, found by its name, described, and gone once it is removed."""
        group = session.groups.create(GroupDescription([{"CPU": 1.0}], name="suite-group"))
        try:
            assert self._get(session, session.groups.ready(group, "there")) == "there"
            found = session.groups.find("suite-group")
            assert found is not None
            assert (found.id, found.bundles) == (group, [{"CPU": 1.0}])
            row = session.groups.table(group)[group.hex()]
            assert row["state"] == "CREATED"
            assert row["bundles"] == {0: {"CPU": 1.0}}
        finally:
            session.groups.remove(group)
        assert session.groups.find("suite-group") is None
        assert session.groups.find("no such group") is None
        self._raises(errors.TaskPlacementGroupRemoved, session, session.groups.ready(group, "gone"))

    def test_keys_have_values(self, session: Session) -> None:
        """Keys are set, kept from being overwritten, listed by prefix, and removed; namespaces are apart."""
        store, space = session.key_values, b"suite"
        assert store.get(b"key-1", space) is None
        assert store.put(b"key-1", b"one", space, True) is False
        assert store.put(b"key-1", b"other", space, False) is True
        assert store.get(b"key-1", space) == b"one"
        assert store.get(b"key-1", b"another space") is None
        store.put(b"key-2", b"\xff\x00", space, True)
        assert sorted(store.keys(b"key-", space)) == [b"key-1", b"key-2"]
        assert store.exists(b"key-2", space)
        assert store.remove(b"key-", space, True) == 2
        assert not store.exists(b"key-2", space)

    def test_the_state_has_rows_of_each_kind(self, session: Session) -> None:
        """Each kind can be listed; a running actor and a living node are seen."""
        actor = self._actor(session, name="suite-listed")
        self._get(session, self._add(session, actor))
        rows = {kind: session.state.rows(kind, _LIMIT_S) for kind in StateKind}
        session.kill_actor(actor, True)
        assert "suite-listed" in {row.get("name") for row in rows[StateKind.ACTORS]}
        assert rows[StateKind.NODES]
        assert any(node["Alive"] for node in session.state.nodes())

    def test_resources_are_counted(self, session: Session) -> None:
        """What an actor holds is not available, and the sum stays."""
        total = session.state.cluster_resources()["CPU"]
        actor = self._actor(session, num_cpus=1)
        self._get(session, self._add(session, actor))
        free = session.state.available_resources().get("CPU", 0)
        session.kill_actor(actor, True)
        assert total >= 2
        assert free <= total - 1
        assert session.state.cluster_resources()["CPU"] == total

    def test_the_context_is_a_drivers(self, session: Session) -> None:
        """Outside of tasks, the context has a job and a node, and no task."""
        context = session.context()
        assert context.is_driver
        assert context.actor_id is None
        assert not context.job_id.is_nil()
        assert not context.node_id.is_nil()
        assert session.result_is_wanted()

    # -- help ----------------------------------------------------------------------------------------------------------

    def _call(self, session: Session, function: Any, *args: Any) -> Any:
        options = TaskOptions.resolve({}, is_generator=False)
        return session.task_template(FunctionDescriptor(function), options)(args, None)

    def _actor(self, session: Session, start: int = 0, **options: Any) -> ActorCore:
        described = ActorOptions.resolve({"num_cpus": 0, **options}, is_async=False)
        return session.create_actor(ClassDescriptor(_Counter), described, (start,), None)

    def _add(self, session: Session, actor: ActorCore) -> Any:
        method = ClassDescriptor(_Counter).meta.find("add")
        assert method is not None
        return session.actor_template(actor, method, MethodOptions().merge({}, is_generator=False))((), None)

    def _get(self, session: Session, ref: Any) -> Any:
        (value,) = session.get([ref], _LIMIT_S)
        return value

    def _raises(self, kind: type[BaseException], session: Session, ref: Any, timeout: float = _LIMIT_S) -> None:
        try:
            session.get([ref], timeout)
        except kind:
            return
        raise AssertionError(f"{kind.__name__} was not raised")
