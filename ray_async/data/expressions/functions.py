"""Functions of expressions: each name with what computes it on Arrow columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ray_async.data.datatype import arrow_type_of
from ray_async.data.expressions.nested import as_lists, hash_shares, list_flattened, list_sorted, map_part

__all__ = ("FUNCTIONS",)


def _divide(one: Any, other: Any) -> Any:
    """True division, as Python's; by zero it is infinite or NaN, as NumPy's."""
    if pa.types.is_decimal(one.type) or pa.types.is_decimal(other.type):
        return pc.divide(one, other)
    return pc.divide(_float(one), _float(other))


def _float(value: Any) -> Any:
    return value if pa.types.is_floating(value.type) else value.cast(pa.float64())


def _floor_divide(one: Any, other: Any) -> Any:
    if pa.types.is_integer(one.type) and pa.types.is_integer(other.type):
        safe = pc.if_else(pc.equal(other, 0), pa.scalar(None, other.type), other)
        quotient = pc.divide(one, safe)
        rest = pc.subtract(one, pc.multiply(quotient, safe))
        below = pc.and_(pc.not_equal(rest, 0), pc.not_equal(pc.less(rest, 0), pc.less(safe, 0)))
        return pc.subtract(quotient, below.cast(pa.int64()))
    return pc.floor(_divide(one, other))


def _modulo(one: Any, other: Any) -> Any:
    """The rest, with the divisor's sign, as Python's."""
    return pc.subtract(one, pc.multiply(_floor_divide(one, other), other))


def _add(one: Any, other: Any) -> Any:
    if pa.types.is_string(one.type) or pa.types.is_large_string(one.type):
        return pc.binary_join_element_wise(one, other, "")
    return pc.add_checked(one, other)


def _is_in(value: Any, values: Any) -> Any:
    found = pc.is_in(value, value_set=pa.array(values, type=value.type), skip_nulls=True)
    return pc.if_else(pc.is_null(value), pa.scalar(None, pa.bool_()), found)


def _cast(value: Any, data_type: Any, safe: bool) -> Any:
    return pc.cast(value, arrow_type_of(data_type), safe=safe)


def _fill_null(value: Any, filler: Any) -> Any:
    if pa.types.is_null(value.type):
        value = pc.cast(value, filler.type)
    return pc.coalesce(value, pc.cast(filler, value.type))


def _strip(name: str) -> Callable[..., Any]:
    def strip(value: Any, characters: str | None) -> Any:
        if characters is None:
            return getattr(pc, f"utf8_{name}_whitespace")(value)
        return getattr(pc, f"utf8_{name}")(value, characters=characters)

    return strip


def _pad(value: Any, width: int, fillchar: str, side: str) -> Any:
    pads = {"left": pc.utf8_lpad, "right": pc.utf8_rpad, "both": pc.utf8_center}
    if side not in pads:
        raise ValueError(f'side must be "left", "right" or "both", but is {side!r}')
    return pads[side](value, width=width, padding=fillchar)


def _list_get(value: Any, index: int) -> Any:
    lengths = pc.list_value_length(value)
    if not len(value):
        return pa.nulls(0, value.type.value_type)
    long = pc.greater(lengths, index) if index >= 0 else pc.greater_equal(lengths, -index)
    kept = value.filter(pc.fill_null(long, False))
    if index >= 0:
        items = pc.list_element(kept, index) if len(kept) else pa.nulls(0, value.type.value_type)
    else:
        items = pa.array([row[index] for row in kept.to_pylist()], type=value.type.value_type)
    return _scattered(items, pc.fill_null(long, False))


def _scattered(items: Any, mask: Any) -> Any:
    """Items at the places where the mask is true, null elsewhere."""
    places = pc.cumulative_sum(mask.cast(pa.int64()))
    return items.take(pc.if_else(mask, pc.subtract(places, 1), pa.scalar(None, pa.int64())))


def _struct_field(value: Any, name: str | int) -> Any:
    return pc.struct_field(value, name)  # a name, or an index


def _time(name: str) -> Callable[..., Any]:
    return lambda value, multiple, unit: getattr(pc, f"{name}_temporal")(value, multiple=multiple, unit=unit)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": _add,
    "subtract": pc.subtract_checked,
    "multiply": pc.multiply_checked,
    "divide": _divide,
    "floor_divide": _floor_divide,
    "modulo": _modulo,
    "negate": pc.negate_checked,
    "equal": pc.equal,
    "not_equal": pc.not_equal,
    "less": pc.less,
    "less_equal": pc.less_equal,
    "greater": pc.greater,
    "greater_equal": pc.greater_equal,
    "and": pc.and_kleene,
    "or": pc.or_kleene,
    "not": pc.invert,
    "is_null": pc.is_null,
    "is_not_null": pc.is_valid,
    "is_nan": pc.is_nan,
    "fill_null": _fill_null,
    "is_in": _is_in,
    "cast": _cast,
    "abs": pc.abs_checked,
    "ceil": pc.ceil,
    "floor": pc.floor,
    "round": lambda value, digits: pc.round(value, ndigits=digits),
    "trunc": pc.trunc,
    "sign": pc.sign,
    "power": pc.power,
    "sqrt": pc.sqrt,
    "exp": lambda value: pc.exp(_float(value)),
    "ln": pc.ln,
    "log2": pc.log2,
    "log10": pc.log10,
    "sin": pc.sin,
    "cos": pc.cos,
    "tan": pc.tan,
    "asin": pc.asin,
    "acos": pc.acos,
    "atan": pc.atan,
    "str_len": pc.utf8_length,
    "str_byte_len": pc.binary_length,
    "str_lower": pc.utf8_lower,
    "str_upper": pc.utf8_upper,
    "str_capitalize": pc.utf8_capitalize,
    "str_title": pc.utf8_title,
    "str_swapcase": pc.utf8_swapcase,
    "str_reverse": pc.utf8_reverse,
    "str_strip": _strip("trim"),
    "str_lstrip": _strip("ltrim"),
    "str_rstrip": _strip("rtrim"),
    "str_pad": _pad,
    "str_slice": lambda value, start, stop, step: pc.utf8_slice_codeunits(value, start=start, stop=stop, step=step),
    "str_starts_with": pc.starts_with,
    "str_ends_with": pc.ends_with,
    "str_contains": pc.match_substring,
    "str_match_like": pc.match_like,
    "str_match_regex": pc.match_substring_regex,
    "str_find": pc.find_substring,
    "str_count": pc.count_substring,
    "str_replace": pc.replace_substring,
    "str_replace_regex": pc.replace_substring_regex,
    "str_is_alpha": pc.utf8_is_alpha,
    "str_is_alnum": pc.utf8_is_alnum,
    "str_is_digit": pc.utf8_is_digit,
    "str_is_decimal": pc.utf8_is_decimal,
    "str_is_numeric": pc.utf8_is_numeric,
    "str_is_space": pc.utf8_is_space,
    "str_is_lower": pc.utf8_is_lower,
    "str_is_upper": pc.utf8_is_upper,
    "str_is_title": pc.utf8_is_title,
    "str_is_printable": pc.utf8_is_printable,
    "str_is_ascii": pc.string_is_ascii,
    "str_find_regex": pc.find_substring_regex,
    "str_count_regex": pc.count_substring_regex,
    "str_extract": pc.extract_regex,
    "str_replace_slice": pc.utf8_replace_slice,
    "str_split": pc.split_pattern,
    "str_split_regex": pc.split_pattern_regex,
    "str_split_whitespace": pc.utf8_split_whitespace,
    "str_repeat": lambda value, count: pc.binary_repeat(value, count),
    "list_len": pc.list_value_length,
    "list_get": _list_get,
    "list_slice": lambda value, start, stop: pc.list_slice(value, start, stop),
    "list_sort": list_sorted,
    "list_flatten": list_flattened,
    "map_keys": lambda value: map_part(value, "keys"),
    "map_values": lambda value: map_part(value, "items"),
    "array_to_list": as_lists,
    "hash_share": hash_shares,
    "struct_field": _struct_field,
    "dt_year": pc.year,
    "dt_month": pc.month,
    "dt_day": pc.day,
    "dt_hour": pc.hour,
    "dt_minute": pc.minute,
    "dt_second": pc.second,
    "dt_strftime": lambda value, format: pc.strftime(value, format=format),
    "dt_floor": _time("floor"),
    "dt_ceil": _time("ceil"),
    "dt_round": _time("round"),
}
