"""Serve within sessions of its own: it starts with `run` and leaves nothing."""

import httpx

import ray_async as ray
from ray_async import serve


@serve.deployment
class Answer:
    async def __call__(self, request: object = None) -> str:
        return "v"


def test_nothing_is_left() -> None:
    for _ in range(2):
        ray.init(num_cpus=2, log_to_driver=False)
        handle = serve.run(Answer.bind(), port=0)
        assert handle.remote().result() == "v"
        serve.shutdown()
        serve.shutdown()
        ray.shutdown()


def test_a_killed_controller_stops_no_traffic_and_leaves_nothing() -> None:
    ray.init(num_cpus=2, log_to_driver=False)
    handle = serve.run(Answer.bind(), port=0)
    address = serve.status().http_address
    ray.kill(ray.get_actor("SERVE_CONTROLLER_ACTOR", namespace="serve"))
    assert httpx.get(f"http://{address}/").text == "v"
    assert handle.remote().result() == "v"
    assert serve.run(Answer.bind(), port=0).remote().result() == "v"
    ray.kill(ray.get_actor("SERVE_CONTROLLER_ACTOR", namespace="serve"))
    serve.shutdown()
    assert ray.util.list_named_actors(all_namespaces=True) == []
    ray.shutdown()
