"""Checks around every test: nothing is left behind, and no event loop is blocked.

What was there when the test's own fixtures began is compared with what is there after they ended. While a session
lives that a fixture of wider scope keeps, descriptors, threads and files come and go on its behalf; the comparison
then waits for the first test that ends without a session, against what was there before that session began.
"""

import asyncio
import gc
import inspect
import signal
from collections.abc import AsyncIterator, Callable, Generator, Iterator

import pytest
import uvloop

from ray_async.runtime.start import node_config
from tests.loop_watch import LoopWatch
from tests.resources import TMPDIR_VARIABLE, Resources, leaks, session_is_live
from tests.resources import wait_until as poll_until


class Baseline:
    """What was there before the present session or test."""

    def __init__(self) -> None:
        self.before: Resources | None = None
        self.session_was_live = False

    def take(self) -> None:
        self.session_was_live = session_is_live()
        if not self.session_was_live or self.before is None:
            self.before = Resources.now()


BASELINE = pytest.StashKey[Baseline]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[BASELINE] = Baseline()
    # A shell starts background jobs with SIGINT ignored, and what they start inherits that: Ctrl-C would do nothing.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # libuv makes one pipe for the whole process with its first loop; it is nobody's leak.
    uvloop.new_event_loop().close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            # Before the test's own fixtures, after those of wider scope, which may block: no loop of the test runs yet.
            item.fixturenames.insert(_first_own(item), "unblocked_loop")


def pytest_collection_finish(session: pytest.Session) -> None:
    # Tests collect garbage thousands of times: what lives as long as the run is not looked through each time.
    gc.collect()
    gc.freeze()


def _first_own(item: pytest.Function) -> int:
    """The place of the first fixture that is made for this test alone."""
    known = item._fixtureinfo.name2fixturedefs
    own = (n for n, name in enumerate(item.fixturenames) if name in known and known[name][-1].scope == "function")
    return next(own, len(item.fixturenames))


@pytest.fixture(scope="session", autouse=True)
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Sessions keep their files in pytest's folder, under a short name: paths of sockets have about 100 bytes.

    What this process has loaded for some of its tests is no sign that the workers of all the others will want it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TMPDIR_VARIABLE, str(tmp_path_factory.mktemp("s", numbered=False)))
        patch.setattr(node_config, "_warm", list)
        yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    if not session_is_live():
        item.config.stash[BASELINE].before = None
    item.config.stash[BASELINE].take()
    return (yield)


@pytest.fixture(autouse=True)
def resources_before(request: pytest.FixtureRequest, session_folder: None) -> None:
    """Look again once the fixtures of wider scope are there; the test's own come after this one."""
    request.config.stash[BASELINE].take()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    result = yield
    if isinstance(item, pytest.Function):
        item.funcargs.clear()  # values of fixtures are no leaks, and pytest drops them only after this hook
    baseline = item.config.stash[BASELINE]
    if item.get_closest_marker("keeps_resources") is not None or baseline.before is None:
        return result
    if not session_is_live():
        left = leaks(baseline.before)
        if left:
            pytest.fail("left behind:\n  " + "\n  ".join(left), pytrace=False)
    elif not baseline.session_was_live:
        pytest.fail("the test left its session running: call shutdown(), or use a fixture that does", pytrace=False)
    return result


@pytest.fixture
async def unblocked_loop(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Fail an async test whose loop was blocked; every async test has this, unless marked `blocks_loop`."""
    if request.node.get_closest_marker("blocks_loop") is not None:
        yield
        return
    watch = LoopWatch()
    try:
        yield
    finally:
        await asyncio.to_thread(watch.close)
    if watch.stalls:
        pytest.fail("the event loop was blocked here:\n" + "\n".join(watch.stalls), pytrace=False)


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """`wait_until(predicate, timeout=30)` polls, and fails the test when time is up."""

    return poll_until
