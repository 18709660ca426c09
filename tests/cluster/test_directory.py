"""The directory of names, by itself."""

from ray_async.cluster.directory import Directory, Holder

OLD, NEW, OTHER = Holder("a", "1"), Holder("a", "2"), Holder("b", "3")


def test_a_name_has_one_holder() -> None:
    names = Directory()
    assert names.take("s", "x", OLD)
    assert not names.take("s", "x", OTHER)
    assert names.take("t", "x", OTHER)
    assert names.find("s", "x") == OLD
    assert sorted(names.names(None)) == [("s", "x"), ("t", "x")]
    assert names.names("t") == [("t", "x")]


def test_a_late_word_of_a_former_holder_frees_nothing() -> None:
    names = Directory()
    names.take("s", "x", OLD)
    names.free("s", "x", OLD)
    assert names.find("s", "x") is None
    assert names.take("s", "x", OTHER)
    for _ in range(2):
        names.free("s", "x", OLD)
        assert names.find("s", "x") == OTHER


def test_a_node_replaces_an_actor_of_its_own() -> None:
    names = Directory()
    names.take("s", "x", OLD)
    assert names.take("s", "x", NEW)
    names.free("s", "x", OLD)
    assert names.find("s", "x") == NEW


def test_a_lost_node_has_no_names() -> None:
    names = Directory()
    names.take("s", "x", OLD)
    names.take("s", "y", OTHER)
    names.node_lost("a")
    assert names.names("s") == [("s", "y")]
