import importlib
import pickle

import cloudpickle
import pytest

import ray_async.util as util
from ray_async.util.annotations import Deprecated, PublicAPI, RayDeprecationWarning
from ray_async.util.node_address import get_node_instance_id, get_node_ip_address


@pytest.mark.parametrize("name", util.__all__)
def test_each_name_is_there_and_stays_after_its_module_is_imported(name: str) -> None:
    value = getattr(util, name)
    importlib.import_module(util._HOMES.get(name, "ray_async.util.placement_group"))
    assert getattr(util, name) is value
    assert name in dir(util)
    assert name in ("accelerators", "state") or callable(value)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = util.nothing


def test_node_address(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(get_node_ip_address().split(".")) == 4
    monkeypatch.setenv("RAY_CLOUD_INSTANCE_ID", "i-1")
    assert get_node_instance_id() == "i-1"


def test_labels() -> None:
    @PublicAPI(stability="beta")
    class Thing: ...

    assert Thing._annotated == "Thing"
    with pytest.raises(ValueError, match="stability"):
        PublicAPI(stability="new")

    @Deprecated(message="Use other.", warning=True)
    def old() -> int:
        return 1

    with pytest.warns(RayDeprecationWarning, match="Use other"):
        assert old() == 1


def test_a_function_that_uses_the_package_can_be_sent() -> None:
    assert pickle.loads(pickle.dumps(util)) is util
    sent = pickle.loads(cloudpickle.dumps(lambda: util.placement_group))
    assert sent() is util.placement_group
