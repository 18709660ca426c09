"""Keys and values in the node."""

from collections.abc import Iterator

import pytest

import ray_async as ray
from ray_async.experimental import internal_kv as kv
from ray_async.runtime.node.requests.key_values import KeyValues
from ray_async.transport.frames import encode_bytes


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    with ray.init(num_cpus=1):
        yield


@pytest.mark.usefixtures("session")
def test_values_are_seen_by_all_processes() -> None:
    @ray.remote
    def change() -> tuple[bytes | None, bool]:
        return kv._internal_kv_get("a", namespace="n"), kv._internal_kv_put("a", b"\xff2", namespace=b"n")

    assert kv._internal_kv_initialized()
    assert kv._internal_kv_put("a", "1", namespace="n") is False
    assert ray.get(change.remote()) == (b"1", True)
    assert kv._internal_kv_get(b"a", namespace="n") == b"\xff2"
    assert kv._internal_kv_get("a") is None


@pytest.mark.usefixtures("session")
def test_keys_are_kept_listed_and_removed() -> None:
    for key in ("k1", "k2", "other"):
        assert not kv._internal_kv_exists(key)
        assert kv._internal_kv_put(key, "v") is False
    assert kv._internal_kv_put("k1", "w", overwrite=False) is True
    assert kv._internal_kv_get("k1") == b"v"
    assert sorted(kv._internal_kv_list("k")) == [b"k1", b"k2"]
    assert kv._internal_kv_del("k") == 0
    assert kv._internal_kv_del("k", del_by_prefix=True) == 2
    assert kv._internal_kv_list(b"") == [b"other"]
    assert kv._internal_kv_del("other") == 1


def test_the_limit_holds() -> None:
    def message(key: bytes, value: bytes) -> dict[str, object]:
        return {"namespace": "", "key": encode_bytes(key), "value": encode_bytes(value), "overwrite": True}

    values = KeyValues(limit=10)
    assert values.put(message(b"key", b"1234567")) is False
    with pytest.raises(RuntimeError, match="take 10 bytes"):
        values.put(message(b"k", b""))
    assert values.put(message(b"key", b"123456")) is True
    assert values.put(message(b"k", b"")) is False


def test_nothing_is_kept_of_a_namespace_without_keys() -> None:
    values = KeyValues()
    for i in range(100):
        space = encode_bytes(b"%d" % i)
        values.put({"namespace": space, "key": encode_bytes(b"k"), "value": encode_bytes(b"v"), "overwrite": True})
        assert values.remove({"namespace": space, "key": encode_bytes(b"k"), "by_prefix": False}) == 1
    assert values._values == {}
