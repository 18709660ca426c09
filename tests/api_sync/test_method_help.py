"""Help that notebooks and editors show for a handle's methods."""

import inspect
import pickle

import pytest

import ray_async as ray
from ray_async.api.actor_method import ActorMethod


@ray.remote
class Shelf:
    """Keeps things."""

    def add(self, thing: str, /, count: int = 1, *, fragile: bool = False) -> int:
        """Put things on the shelf."""
        return count

    @staticmethod
    def kinds(*names: str, **colours: str) -> int:
        return len(names)

    @ray.method(num_returns=2)
    async def pair(self) -> tuple[int, int]:
        """Two numbers."""
        return 1, 2


SIGNATURES = {
    "add": "(thing: str, /, count: int = 1, *, fragile: bool = False) -> int",
    "kinds": "(*names: str, **colours: str) -> int",
    "pair": "() -> tuple[int, int]",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_method_is_shown_as_in_its_class(name: str) -> None:
    method = getattr(Shelf.remote(), name)
    for shown in (method, method.remote, method.options(name="n"), method.options(name="n").remote):
        assert str(inspect.signature(shown)) == SIGNATURES[name]
        assert inspect.getdoc(shown) == inspect.getdoc(getattr(Shelf.__ray_actor_class__, name))
    assert method.__name__ == name


def test_a_handle_that_was_sent_shows_names_and_docstring() -> None:
    shelf = pickle.loads(pickle.dumps(Shelf.remote()))
    assert str(inspect.signature(shelf.add)) == "(thing, /, count=Ellipsis, *, fragile=Ellipsis)"
    assert str(inspect.signature(shelf.kinds.remote)) == "(*args, **kwargs)"
    assert inspect.getdoc(shelf.add.remote) == "Put things on the shelf."
    assert ray.get(shelf.add.remote("cup", 3)) == 3


def test_methods_are_listed_for_completion() -> None:
    assert {"add", "kinds", "pair"} <= set(dir(Shelf.remote()))
    assert "actor" in (inspect.getdoc(ActorMethod) or "")
