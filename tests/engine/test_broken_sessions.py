"""The suite of engines: a session with a fault does not pass."""

from collections.abc import Callable
from typing import Any

import pytest

import ray_async as ray
from ray_async.engine.current import get_session
from ray_async.engine.testing import SessionSuite
from ray_async.exceptions import GetTimeoutError


class Double:
    """A session with one fault.

    Args:
        session: what it passes everything on to.
        faults: what it does instead, by name.
    """

    def __init__(self, session: Any, **faults: Any) -> None:
        self._session = session
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        return self._faults[name] if name in self._faults else getattr(self._session, name)


def _sorted_values(session: Any) -> Double:
    return Double(session, get=lambda refs, timeout: sorted(session.get(refs, timeout)))


def _bare_errors(session: Any) -> Double:
    def get(refs: list[Any], timeout: float | None) -> list[Any]:
        try:
            return list(session.get(refs, timeout))
        except Exception as error:
            raise RuntimeError(str(error)) from error

    return Double(session, get=get)


def _waits_on(session: Any) -> Double:
    return Double(session, wait=lambda refs, count, timeout, fetch: session.wait(refs, 1, timeout, fetch))


def _forgets_scopes(session: Any) -> Double:
    return Double(session, cancel_scope=lambda scope: None, get=lambda refs, timeout: session.get(refs, 1.0))


def _spares_actors(session: Any) -> Double:
    return Double(session, kill_actor=lambda core, no_restart: None)


def _overwrites(session: Any) -> Double:
    store = session.key_values
    return Double(
        session, key_values=Double(store, put=lambda key, value, space, _: store.put(key, value, space, True))
    )


def _keeps_groups(session: Any) -> Double:
    groups = session.groups
    return Double(session, groups=Double(groups, remove=lambda group: None))


def _lists_nothing(session: Any) -> Double:
    return Double(session, state=Double(session.state, rows=lambda kind, timeout_s=None: []))


def _counts_nothing(session: Any) -> Double:
    state = session.state
    return Double(session, state=Double(state, available_resources=lambda node_id=None: state.cluster_resources()))


@pytest.mark.parametrize(
    ("broken", "check", "error"),
    [
        (_sorted_values, SessionSuite.test_values_come_in_the_order_of_their_references, AssertionError),
        (_bare_errors, SessionSuite.test_an_error_keeps_its_type, RuntimeError),
        (_waits_on, SessionSuite.test_wait_parts_what_is_ready_from_the_rest, AssertionError),
        (_forgets_scopes, SessionSuite.test_the_end_of_a_scope_cancels_what_it_started, GetTimeoutError),
        (_spares_actors, SessionSuite.test_a_killed_actor_says_so, AssertionError),
        (_overwrites, SessionSuite.test_keys_have_values, AssertionError),
        (_keeps_groups, SessionSuite.test_a_group_that_fits_is_ready, AssertionError),
        (_lists_nothing, SessionSuite.test_the_state_has_rows_of_each_kind, AssertionError),
        (_counts_nothing, SessionSuite.test_resources_are_counted, AssertionError),
    ],
)
def test_a_session_with_a_fault_does_not_pass(
    broken: Callable[[Any], Any], check: Callable[[SessionSuite, Any], None], error: type[Exception]
) -> None:
    # A session of its own: what a fault leaves running must not be another check's reason to fail.
    with ray.init(num_cpus=2), pytest.raises(error):
        check(SessionSuite(), broken(get_session()))
