"""Debug builds are refused."""

import pytest

from bench.release import DebugBuildError, check_release_build


def test_a_release_build_is_fine() -> None:
    assert check_release_build(lambda: {"debug": False}) is None


def test_a_debug_build_is_refused() -> None:
    with pytest.raises(DebugBuildError, match="debug build"):
        check_release_build(lambda: {"debug": True})


def test_a_build_that_cannot_be_imported_says_why() -> None:
    def missing() -> dict[str, bool]:
        raise ImportError("no compiled core")

    assert check_release_build(missing) == "ImportError: no compiled core"
