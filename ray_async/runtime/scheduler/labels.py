"""Conditions on nodes' labels: the selector grammar and the operators of the label strategy."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ray_async.frozen import Record

__all__ = (
    "ANY_NODE",
    "LABEL_OPERATORS",
    "LabelExists",
    "LabelIn",
    "LabelMissing",
    "LabelNotIn",
    "LabelOperator",
    "LabelSelector",
)


class LabelIn(Record):
    """The label is there and has one of `values`."""

    values: tuple[str, ...]

    def matches(self, value: str | None) -> bool:
        """Judge a node's value of the label (None: the node lacks it)."""
        return value is not None and value in self.values


class LabelNotIn(Record):
    """The label is missing or has none of `values`."""

    values: tuple[str, ...]

    def matches(self, value: str | None) -> bool:
        """Judge a node's value of the label (None: the node lacks it)."""
        return value not in self.values


class LabelExists(Record):
    """The label is there, whatever its value."""

    def matches(self, value: str | None) -> bool:
        """Judge a node's value of the label (None: the node lacks it)."""
        return value is not None


class LabelMissing(Record):
    """The label is missing."""

    def matches(self, value: str | None) -> bool:
        """Judge a node's value of the label (None: the node lacks it)."""
        return value is None


LabelOperator = LabelIn | LabelNotIn | LabelExists | LabelMissing
# By the names that programs know them under.
LABEL_OPERATORS: dict[str, Callable[..., LabelOperator]] = {
    "In": LabelIn,
    "NotIn": LabelNotIn,
    "Exists": LabelExists,
    "DoesNotExist": LabelMissing,
}

_CALL = re.compile(r"(!?)in\((.*)\)", re.DOTALL)


def _parse_term(key: str, text: str) -> LabelOperator:
    call = _CALL.fullmatch(text.strip())
    negated = text.startswith("!")
    listed = [text.removeprefix("!")] if call is None else call[2].split(",")
    values = tuple(value.strip() for value in listed)
    if not key or not all(values) or any(character in value for value in values for character in "!(),"):
        raise ValueError(f'label selector {key!r}: {text!r} is none of "v", "!v", "in(a,b)", "!in(a,b)"')
    return LabelNotIn(values) if negated else LabelIn(values)


class LabelSelector(Record):
    """A conjunction of conditions, one for each label key. Without any it matches every node."""

    terms: tuple[tuple[str, LabelOperator], ...] = ()

    @classmethod
    def parse(cls, selector: Mapping[str, str]) -> LabelSelector:
        """Build from `{"zone": "in(a,b)", "kind": "!spot"}`; ValueError for anything outside the grammar."""
        return cls(tuple((key, _parse_term(key, text)) for key, text in sorted(selector.items())))

    @classmethod
    def of(cls, conditions: Mapping[str, LabelOperator]) -> LabelSelector:
        """Build from operators, as the node label strategy gives them."""
        return cls(tuple(sorted(conditions.items(), key=lambda item: item[0])))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Say whether a node with `labels` meets every condition."""
        return all(operator.matches(labels.get(key)) for key, operator in self.terms)

    def __bool__(self) -> bool:
        return bool(self.terms)


ANY_NODE = LabelSelector()
