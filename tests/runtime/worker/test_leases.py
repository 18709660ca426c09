"""Workers between leases: what the node gives next is always taken."""

from __future__ import annotations

import ray_async as ray


def test_actors_begin_on_workers_that_have_just_served_tasks() -> None:
    with ray.init(address="local", num_cpus=2):

        @ray.remote
        def task() -> int:
            return 1

        @ray.remote(num_cpus=0.5)
        class Actor:
            def reply(self) -> int:
                return 2

        for _ in range(15):
            assert sum(ray.get([task.remote() for _ in range(50)], timeout=60)) == 50
            actors = [Actor.remote() for _ in range(3)]
            assert ray.get([actor.reply.remote() for actor in actors], timeout=60) == [2, 2, 2]
            for actor in actors:
                ray.kill(actor)
