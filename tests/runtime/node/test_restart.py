"""The verdict on an actor whose process has died."""

import pytest

from ray_async.runtime.node.death.evidence import DeathCause
from ray_async.runtime.node.restart import Restart, Stay, restart_verdict


@pytest.mark.parametrize(
    ("ended", "max_restarts", "restarts", "verdict"),
    [
        (None, 3, 0, Restart(2)),
        (None, 3, 2, Restart(0)),
        (None, -1, 1000, Restart(-1)),
        (None, 0, 0, Stay("max_restarts is 0")),
        (None, 2, 2, Stay("all 2 restarts of max_restarts=2 are used up")),
        (DeathCause.KILLED, -1, 0, Stay("it was killed by `ray.kill`")),
        (DeathCause.EXIT_ACTOR, 5, 0, Stay("it called exit_actor()")),
        (DeathCause.GROUP_REMOVED, -1, 0, Stay("its placement group was removed")),
        (DeathCause.OUT_OF_SCOPE, 5, 1, Stay("all references to it are gone")),
    ],
)
def test_verdicts(ended: DeathCause | None, max_restarts: int, restarts: int, verdict: Restart | Stay) -> None:
    assert restart_verdict(ended, max_restarts, restarts) == verdict


@pytest.mark.parametrize("ended", [cause for cause in DeathCause if cause.is_decided])
def test_what_is_over_stays_over(ended: DeathCause) -> None:
    assert restart_verdict(ended, max_restarts=-1, restarts=0) == Stay(ended.value)


def test_verdicts_in_words() -> None:
    assert Restart(-1).text == "restart, without a limit"
    assert Restart(0).text == "restart, 0 left after it"
    assert Stay("max_restarts is 0").text == "no restart: max_restarts is 0"
