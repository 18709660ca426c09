from ray_async.util.debug import OnceGate


def test_each_key_passes_once() -> None:
    gate = OnceGate()
    assert [gate.passes(key) for key in ("a", "b", "a", "b")] == [True, True, False, False]


def test_a_period_lets_the_key_through_again() -> None:
    now = 0.0
    gate = OnceGate(clock=lambda: now)
    gate.period_s = 60.0
    assert gate.passes("a")
    now = 59.0
    assert not gate.passes("a")
    now = 60.0
    assert gate.passes("a")


def test_a_disabled_gate_lets_nothing_through() -> None:
    gate = OnceGate()
    gate.enabled = False
    assert not gate.passes("a")
