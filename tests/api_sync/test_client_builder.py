import pytest

import ray_async as ray


@pytest.fixture
def no_session() -> None:
    ray.shutdown()


@pytest.mark.usefixtures("no_session")
def test_a_builder_connects_and_disconnects() -> None:
    with ray.client("local").namespace("service").env({"env_vars": {"COLOUR": "red"}}).connect() as context:
        assert ray.is_initialized() and ray.get_runtime_context().namespace == "service"
        assert ray.get_runtime_context().runtime_env["env_vars"] == {"COLOUR": "red"}
        assert context.python_version and context.dashboard_url is None
        assert ray.get_runtime_context().worker.mode == ray.SCRIPT_MODE
    assert not ray.is_initialized()
    assert ray._private.worker.global_worker.mode is None


@pytest.mark.usefixtures("no_session")
def test_a_thin_client_is_refused() -> None:
    with pytest.raises((ValueError, ConnectionError)):
        ray.client("ray://localhost:10001").connect()
