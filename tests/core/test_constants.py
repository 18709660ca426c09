"""The enumerations of the layout's numbers: each has all of the C header's, and nobody types such a number again."""

import ast
import re
from enum import IntEnum
from pathlib import Path

import pytest

from ray_async._core import constants
from ray_async._core.own_slot import busy_lease, lease_state, leased_actor, leased_class

PACKAGE = Path(constants.__file__).resolve().parent.parent
LAYOUT = PACKAGE / "_core" / "includes" / "layout.h"
PREFIXES = {
    constants.ActorState: "RA_ACTOR_",
    constants.EntryState: "RA_",
    constants.EventKind: "RA_EV_",
    constants.LeaseState: "RA_LEASE_",
    constants.NodeState: "RA_NODE_",
    constants.ProcessKind: "RA_PROC_",
    constants.RecordKind: "RA_KIND_",
    constants.RecordState: "RA_REC_",
    constants.WorkerFlag: "RA_PF_",
}
MEMBERS = {member.name for numbers in PREFIXES for member in numbers}


def groups() -> list[dict[str, int]]:
    """The enumerations of the header, each as names and numbers."""
    bodies = re.findall(r"^enum \{(.*?)\}", LAYOUT.read_text(), re.MULTILINE | re.DOTALL)
    return [{name: int(value) for name, value in re.findall(r"\b(RA_\w+) = (\d+)", body)} for body in bodies]


@pytest.mark.parametrize("numbers", PREFIXES, ids=lambda numbers: numbers.__name__)
def test_an_enumeration_is_one_of_the_header(numbers: type[IntEnum]) -> None:
    assert {PREFIXES[numbers] + member.name: member.value for member in numbers} in groups()


def test_every_enumeration_has_its_header_here() -> None:
    public = {kind for kind in vars(constants).values() if isinstance(kind, type) and issubclass(kind, IntEnum)}
    assert public - {IntEnum} == set(PREFIXES)


def typed_numbers(source: str) -> list[str]:
    """Names of the layout, alone or behind another word, that a module assigns numbers to."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
            found += [
                name.id
                for name, value in zip(names, values, strict=False)
                if isinstance(name, ast.Name)
                and isinstance(value, ast.Constant)
                and type(value.value) is int
                and any(re.fullmatch(rf"_?([A-Z]+_)?{member}", name.id) for member in MEMBERS)
            ]
    return found


def test_no_number_of_the_layout_is_typed_again() -> None:
    found = {
        str(path.relative_to(PACKAGE)): names
        for folder in ("runtime", "util", "transport", "_private")
        for path in sorted((PACKAGE / folder).rglob("*.py"))
        if (names := typed_numbers(path.read_text()))
    }
    assert found == {}


def test_typed_numbers_are_found() -> None:
    assert typed_numbers("_NODE_DOWN = 2\nIDLE, BUSY = 1, 2\n_RESTS = 3\nBUSY_S = 1\nname = 'x'") == [
        "_NODE_DOWN",
        "IDLE",
        "BUSY",
    ]


def test_the_parts_of_a_lease_word() -> None:
    word = 7 << 32 | 5 << 8 | constants.LeaseState.ACTOR
    assert (lease_state(word), leased_class(word), leased_actor(word)) == (constants.LeaseState.ACTOR, 7, 7 * 64)
    assert busy_lease(word) == 7 << 32 | 5 << 8 | constants.LeaseState.BUSY
