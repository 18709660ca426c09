import pickle
from typing import Any

import pytest

import ray_async as ray
from ray_async.ids import PlacementGroupID
from ray_async.util import get_placement_group, placement_group, placement_group_table, remove_placement_group
from ray_async.util.placement_group import PlacementGroup

GROUP_ID = "ab" * 18


@pytest.fixture
def node(session: Any) -> Any:
    session.replies["pg_create"] = {"placement_group_id": GROUP_ID}
    return session


def test_creation_sends_the_description(node: Any) -> None:
    group = placement_group([{"CPU": 1}, {"GPU": 0.5}], name="train")
    assert group.id == PlacementGroupID.from_hex(GROUP_ID)
    assert group.bundle_specs == [{"CPU": 1.0}, {"GPU": 0.5}]
    assert group.bundle_count == 2
    ((op, fields),) = node.requests
    assert op == "pg_create"
    assert fields["strategy"] == "PACK"
    assert fields["name"] == "train"
    assert fields["bundle_label_selector"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bundles": "CPU"}, "must be a list"),
        ({"bundles": []}, "non-empty"),
        ({"bundles": [{}]}, "empty"),
        ({"bundles": [{"CPU": 0, "GPU": 0}]}, "only 0 values"),
        ({"bundles": [{"CPU": "6"}]}, "resource dictionaries"),
        ({"bundles": [{8: 7}]}, "resource dictionaries"),
        ({"bundles": [{"CPU": -1}]}, "resource dictionaries"),
        ({"bundles": ["CPU"]}, "resource dictionaries"),
        ({"bundles": [{"bundle": 1}]}, "reserved"),
        ({"strategy": "WIDE"}, "Invalid placement group strategy"),
        ({"lifetime": "eternal"}, "lifetime"),
        ({"strategy": "PACK", "topology_strategy": {"rack": "PACK"}}, "together"),
        ({"_soft_target_node_id": "ab"}, "STRICT_PACK"),
        ({"bundle_label_selector": [{"a": "b"}, {"a": "b"}]}, "one for each"),
        ({"bundle_label_selector": {"a": "b"}}, "must be a list"),
        ({"bundle_label_selector": [{"a": 1}]}, "list of string dictionary"),
        ({"bundle_label_selector": [{"INVALID key!": "b"}]}, "Invalid label selector provided"),
    ],
)
def test_bad_descriptions_are_refused(node: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        placement_group(**{"bundles": [{"CPU": 1}], **arguments})
    assert node.requests == []


def test_label_selectors_of_all_kinds(node: Any) -> None:
    selectors = [{"ray.io/market-type": "spot"}, {"zone": "!in(a, b)"}, {"gpu": "!T4"}]
    placement_group([{"CPU": 1}] * 3, bundle_label_selector=selectors)
    assert node.requests[0][1]["bundle_label_selector"] == selectors


def test_ready_and_wait(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    node.replies["pg_ready"] = "a reference"
    group = placement_group([{"CPU": 1}])
    assert group.ready() == "a reference"
    assert node.requests[-1] == ("pg_ready", {"placement_group_id": GROUP_ID, "value": group})
    for ready, expected in ((["a reference"], True), ([], False)):
        monkeypatch.setattr(ray, "wait", lambda refs, ready=ready, **_: (ready, []), raising=False)
        monkeypatch.setattr(ray, "get", lambda ref: group)
        assert group.wait(timeout_seconds=1) is expected


def test_equality_hash_and_pickle(node: Any) -> None:
    group = placement_group([{"CPU": 1}])
    copy = pickle.loads(pickle.dumps(group))
    assert (copy, hash(copy), copy.bundle_specs) == (group, hash(group), group.bundle_specs)
    assert group != PlacementGroup.empty()
    assert PlacementGroup.empty().is_empty
    assert not group.is_empty


def test_lookup_by_name(session: Any) -> None:
    session.replies["pg_get"] = {"placement_group_id": GROUP_ID, "bundles": [{"CPU": 1.0}]}
    assert get_placement_group("train").bundle_specs == [{"CPU": 1.0}]
    session.replies["pg_get"] = None
    for name in ("", "unknown"):
        with pytest.raises(ValueError):
            get_placement_group(name)


def test_table_has_indices_as_numbers(session: Any) -> None:
    row = {"name": "", "state": "CREATED", "bundles": {"1": {"GPU": 1.0}, "0": {"CPU": 1.0}}, "bundles_to_node_id": {}}
    session.replies["pg_table"] = {GROUP_ID: row}
    group = PlacementGroup(PlacementGroupID.from_hex(GROUP_ID))
    assert group.bundle_specs == [{"CPU": 1.0}, {"GPU": 1.0}]
    assert placement_group_table(group)["bundles"] == {0: {"CPU": 1.0}, 1: {"GPU": 1.0}}
    assert list(placement_group_table()) == [GROUP_ID]
    session.replies["pg_table"] = {}
    assert placement_group_table(group) == {}


def test_removal(node: Any) -> None:
    remove_placement_group(placement_group([{"CPU": 1}]))
    assert node.requests[-1] == ("pg_remove", {"placement_group_id": GROUP_ID})
    for call in (remove_placement_group, placement_group_table):
        with pytest.raises(ValueError, match="PlacementGroup is needed"):
            call("group")  # type: ignore[arg-type]
