"""Namespaces: functions of texts, lists, structs, maps, tensors and times, reached by ``.str``, ``.list``, ``.struct``,
``.map``, ``.arr`` and ``.dt``.
"""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from typing import Any

from ray_async.data.expressions.expr import CallExpr, Expr

__all__ = ("Arrays", "DateTimes", "Lists", "Maps", "Structs", "Texts")


@dataclass(frozen=True)
class _Namespace:
    of: Expr

    def _call(self, function: str, **options: Any) -> Expr:
        return CallExpr(function, (self.of,), options)


class Texts(_Namespace):
    """Functions of texts."""

    def len(self) -> Expr:
        """Number of characters."""
        return self._call("str_len")

    def byte_len(self) -> Expr:
        return self._call("str_byte_len")

    def lower(self) -> Expr:
        return self._call("str_lower")

    def upper(self) -> Expr:
        return self._call("str_upper")

    def capitalize(self) -> Expr:
        return self._call("str_capitalize")

    def title(self) -> Expr:
        return self._call("str_title")

    def swapcase(self) -> Expr:
        return self._call("str_swapcase")

    def reverse(self) -> Expr:
        return self._call("str_reverse")

    def strip(self, characters: str | None = None) -> Expr:
        return self._call("str_strip", characters=characters)

    def lstrip(self, characters: str | None = None) -> Expr:
        return self._call("str_lstrip", characters=characters)

    def rstrip(self, characters: str | None = None) -> Expr:
        return self._call("str_rstrip", characters=characters)

    def pad(self, width: int, fillchar: str = " ", side: str = "right") -> Expr:
        return self._call("str_pad", width=width, fillchar=fillchar, side=side)

    def lpad(self, width: int, padding: str = " ") -> Expr:
        return self.pad(width, padding, "left")

    def rpad(self, width: int, padding: str = " ") -> Expr:
        return self.pad(width, padding, "right")

    def center(self, width: int, padding: str = " ") -> Expr:
        return self.pad(width, padding, "both")

    def is_alpha(self) -> Expr:
        return self._call("str_is_alpha")

    def is_alnum(self) -> Expr:
        return self._call("str_is_alnum")

    def is_digit(self) -> Expr:
        return self._call("str_is_digit")

    def is_decimal(self) -> Expr:
        return self._call("str_is_decimal")

    def is_numeric(self) -> Expr:
        return self._call("str_is_numeric")

    def is_space(self) -> Expr:
        return self._call("str_is_space")

    def is_lower(self) -> Expr:
        return self._call("str_is_lower")

    def is_upper(self) -> Expr:
        return self._call("str_is_upper")

    def is_title(self) -> Expr:
        return self._call("str_is_title")

    def is_printable(self) -> Expr:
        return self._call("str_is_printable")

    def is_ascii(self) -> Expr:
        return self._call("str_is_ascii")

    def slice(self, start: int, stop: int | None = None, step: int = 1) -> Expr:
        return self._call("str_slice", start=start, stop=stop, step=step)

    def starts_with(self, prefix: str, *, ignore_case: bool = False) -> Expr:
        return self._call("str_starts_with", pattern=prefix, ignore_case=ignore_case)

    def ends_with(self, suffix: str, *, ignore_case: bool = False) -> Expr:
        return self._call("str_ends_with", pattern=suffix, ignore_case=ignore_case)

    def contains(self, text: str, *, ignore_case: bool = False) -> Expr:
        return self._call("str_contains", pattern=text, ignore_case=ignore_case)

    def match(self, pattern: str, *, ignore_case: bool = False) -> Expr:
        """Whether it matches a pattern of SQL's ``LIKE``: ``%`` is any text, ``_`` one character."""
        return self._call("str_match_like", pattern=pattern, ignore_case=ignore_case)

    def match_regex(self, pattern: str, *, ignore_case: bool = False) -> Expr:
        return self._call("str_match_regex", pattern=pattern, ignore_case=ignore_case)

    def find(self, text: str, *, ignore_case: bool = False) -> Expr:
        return self._call("str_find", pattern=text, ignore_case=ignore_case)

    def count(self, text: str, *, ignore_case: bool = False) -> Expr:
        return self._call("str_count", pattern=text, ignore_case=ignore_case)

    def find_regex(self, pattern: str, *, ignore_case: bool = False) -> Expr:
        """Where a regular expression first matches, in bytes; -1 if nowhere."""
        return self._call("str_find_regex", pattern=pattern, ignore_case=ignore_case)

    def count_regex(self, pattern: str, *, ignore_case: bool = False) -> Expr:
        return self._call("str_count_regex", pattern=pattern, ignore_case=ignore_case)

    def extract(self, pattern: str) -> Expr:
        """What the named groups of a regular expression match, as a struct; null where it does not match."""
        return self._call("str_extract", pattern=pattern)

    def replace_slice(self, start: int, stop: int, replacement: str) -> Expr:
        """The text with the characters from ``start`` to before ``stop`` replaced."""
        return self._call("str_replace_slice", start=start, stop=stop, replacement=replacement)

    def replace(self, pattern: str, replacement: str, *, max_replacements: int | None = None) -> Expr:
        return self._call("str_replace", pattern=pattern, replacement=replacement, max_replacements=max_replacements)

    def replace_regex(self, pattern: str, replacement: str, *, max_replacements: int | None = None) -> Expr:
        return self._call(
            "str_replace_regex", pattern=pattern, replacement=replacement, max_replacements=max_replacements
        )

    def split(self, pattern: str, *, max_splits: int | None = None, reverse: bool = False) -> Expr:
        """Lists of what stands between the separators.

        Args:
            pattern: the separator.
            max_splits: how often a text is split at most.
            reverse: whether these are the last ones.
        """
        return self._call("str_split", pattern=pattern, max_splits=max_splits, reverse=reverse)

    def split_regex(self, pattern: str, *, max_splits: int | None = None) -> Expr:
        """The same with a regular expression as separator."""
        return self._call("str_split_regex", pattern=pattern, max_splits=max_splits)

    def split_whitespace(self, *, max_splits: int | None = None, reverse: bool = False) -> Expr:
        """The same with white space as separator."""
        return self._call("str_split_whitespace", max_splits=max_splits, reverse=reverse)

    def repeat(self, count: int) -> Expr:
        return self._call("str_repeat", count=count)


class Lists(_Namespace):
    """Functions of lists."""

    def len(self) -> Expr:
        """Number of items."""
        return self._call("list_len")

    def get(self, index: int) -> Expr:
        """The item at an index from 0; null where the list is shorter."""
        return self._call("list_get", index=index)

    def slice(self, start: int = 0, stop: int | None = None) -> Expr:
        return self._call("list_slice", start=start, stop=stop)

    def sort(self, order: str = "ascending", null_placement: str = "at_end") -> Expr:
        """Each list with its items in order.

        Args:
            order: "ascending" or "descending".
            null_placement: "at_end" or "at_start".

        Raises:
            ValueError: Another order or placement.
        """
        if order not in ("ascending", "descending"):
            raise ValueError(f"order must be 'ascending' or 'descending', but is {order!r}")
        if null_placement not in ("at_end", "at_start"):
            raise ValueError(f"null_placement must be 'at_end' or 'at_start', but is {null_placement!r}")
        return self._call("list_sort", order=order, null_placement=null_placement)

    def flatten(self) -> Expr:
        """Each list of lists as one list of their items."""
        return self._call("list_flatten")

    def __getitem__(self, index: int | builtins.slice) -> Expr:
        if isinstance(index, builtins.slice):
            return self.slice(index.start or 0, index.stop)
        return self.get(index)


class Structs(_Namespace):
    """Fields of structs."""

    def field(self, name: str) -> Expr:
        """A field's value; null where the struct is null."""
        return self._call("struct_field", name=name)

    def field_by_index(self, index: int) -> Expr:
        """The value of the field at an index from 0."""
        return self._call("struct_field", name=index)

    def __getitem__(self, name: str | int) -> Expr:
        return self.field_by_index(name) if isinstance(name, int) else self.field(name)


class Maps(_Namespace):
    """Keys and values of maps."""

    def keys(self) -> Expr:
        """Each map's keys as a list."""
        return self._call("map_keys")

    def values(self) -> Expr:
        """Each map's values as a list."""
        return self._call("map_values")


class Arrays(_Namespace):
    """Functions of tensors."""

    def to_list(self) -> Expr:
        """Each tensor, or list of fixed length, as a list."""
        return self._call("array_to_list")


class DateTimes(_Namespace):
    """Parts of times."""

    def year(self) -> Expr:
        return self._call("dt_year")

    def month(self) -> Expr:
        return self._call("dt_month")

    def day(self) -> Expr:
        return self._call("dt_day")

    def hour(self) -> Expr:
        return self._call("dt_hour")

    def minute(self) -> Expr:
        return self._call("dt_minute")

    def second(self) -> Expr:
        return self._call("dt_second")

    def strftime(self, format: str) -> Expr:
        return self._call("dt_strftime", format=format)

    def floor(self, unit: str = "day", multiple: int = 1) -> Expr:
        return self._call("dt_floor", multiple=multiple, unit=unit)

    def ceil(self, unit: str = "day", multiple: int = 1) -> Expr:
        return self._call("dt_ceil", multiple=multiple, unit=unit)

    def round(self, unit: str = "day", multiple: int = 1) -> Expr:
        return self._call("dt_round", multiple=multiple, unit=unit)
