import pickle
from typing import Any

import pytest

import ray_async as ray
from ray_async.engine.groups import GroupDescription, KnownGroup
from ray_async.ids import PlacementGroupID
from ray_async.util import get_placement_group, placement_group, placement_group_table, remove_placement_group
from ray_async.util.placement_group import PlacementGroup
from tests.util.conftest import GROUP_ID, FakeGroups


def test_creation_sends_the_description(groups: FakeGroups) -> None:
    group = placement_group([{"CPU": 1}, {"GPU": 0.5}], name="train")
    assert group.id == PlacementGroupID.from_hex(GROUP_ID)
    assert group.bundle_specs == [{"CPU": 1.0}, {"GPU": 0.5}]
    assert group.bundle_count == 2
    (description,) = groups.created
    assert description == GroupDescription([{"CPU": 1.0}, {"GPU": 0.5}], "PACK", "train")


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
def test_bad_descriptions_are_refused(groups: FakeGroups, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        placement_group(**{"bundles": [{"CPU": 1}], **arguments})
    assert groups.created == []


def test_label_selectors_of_all_kinds(groups: FakeGroups) -> None:
    selectors = [{"ray.io/market-type": "spot"}, {"zone": "!in(a, b)"}, {"gpu": "!T4"}]
    placement_group([{"CPU": 1}] * 3, bundle_label_selector=selectors)
    assert groups.created[0].bundle_label_selector == selectors


def test_ready_and_wait(groups: FakeGroups, monkeypatch: pytest.MonkeyPatch) -> None:
    group = placement_group([{"CPU": 1}])
    assert group.ready() == f"a reference to {group}"
    for ready, expected in ((["a reference"], True), ([], False)):
        monkeypatch.setattr(ray, "wait", lambda refs, ready=ready, **_: (ready, []), raising=False)
        monkeypatch.setattr(ray, "get", lambda ref: group)
        assert group.wait(timeout_seconds=1) is expected


def test_equality_hash_and_pickle(groups: FakeGroups) -> None:
    group = placement_group([{"CPU": 1}])
    copy = pickle.loads(pickle.dumps(group))
    assert (copy, hash(copy), copy.bundle_specs) == (group, hash(group), group.bundle_specs)
    assert group != PlacementGroup.empty()
    assert PlacementGroup.empty().is_empty
    assert not group.is_empty


def test_lookup_by_name(groups: FakeGroups) -> None:
    groups.known = KnownGroup(PlacementGroupID.from_hex(GROUP_ID), [{"CPU": 1.0}])
    assert get_placement_group("train").bundle_specs == [{"CPU": 1.0}]
    groups.known = None
    for name in ("", "unknown"):
        with pytest.raises(ValueError):
            get_placement_group(name)


def test_bundles_come_in_their_order(groups: FakeGroups) -> None:
    groups.rows = {GROUP_ID: {"state": "CREATED", "bundles": {1: {"GPU": 1.0}, 0: {"CPU": 1.0}}}}
    group = PlacementGroup(PlacementGroupID.from_hex(GROUP_ID))
    assert group.bundle_specs == [{"CPU": 1.0}, {"GPU": 1.0}]
    assert placement_group_table(group)["bundles"] == {0: {"CPU": 1.0}, 1: {"GPU": 1.0}}
    assert list(placement_group_table()) == [GROUP_ID]
    groups.rows = {}
    assert placement_group_table(group) == {}


def test_removal(groups: FakeGroups) -> None:
    remove_placement_group(placement_group([{"CPU": 1}]))
    assert groups.removed == [PlacementGroupID.from_hex(GROUP_ID)]
    for call in (remove_placement_group, placement_group_table):
        with pytest.raises(ValueError, match="PlacementGroup is needed"):
            call("group")  # type: ignore[arg-type]
