"""A method that keeps the loop of its actor from running is named on the driver's stderr."""

from tests.output.script import run


def test_the_method_and_its_stack_are_shown_and_the_actor_can_be_ended() -> None:
    _, err = run(
        """
import io, sys, time
import ray_async as ray
sys.stderr = heard = io.StringIO()
def hear(times):
    while heard.getvalue().count("blocks it") < times: time.sleep(0.01)
ray.init(num_cpus=1, _system_config={"async_stall_warning_s": 0.2})
@ray.remote
class Actor:
    async def innocent(self):
        import asyncio
        await asyncio.sleep(1000)
    async def culprit(self):
        self.busy()
    def busy(self):
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline: pass
        time.sleep(1000)
actor = Actor.remote()
other = actor.innocent.remote()
ref = actor.culprit.remote()
hear(1)
ray.cancel(ref)
try: ray.get(ref, timeout=60)
except ray.exceptions.TaskCancelledError: pass
again = actor.culprit.remote()
hear(2)
ray.kill(actor)
for r in (again, other):
    try: ray.get(r, timeout=60)
    except ray.exceptions.ActorDiedError: pass
    else: raise SystemExit("it lives")
ray.shutdown()
sys.__stderr__.write(heard.getvalue())
"""
    )
    text = "\n".join(err)
    assert "Actor.culprit blocks it" in text
    assert "in busy" in text
    assert "innocent" not in text
