"""Texts: split into tokens, counted, and hashed into vectors."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ray_async.data.aggregate.functions import Aggregation
from ray_async.data.block.columns import python_of
from ray_async.data.block.tensors import tensor_column
from ray_async.data.plan.columns import check_columns
from ray_async.data.preprocessor import Preprocessor
from ray_async.data.preprocessors.categories import check_no_nulls
from ray_async.data.preprocessors.columnwise import ColumnPreprocessor, with_column

if TYPE_CHECKING:
    from ray_async.data.dataset.dataset import Dataset

__all__ = ("CountVectorizer", "FeatureHasher", "HashingVectorizer", "Tokenizer")

Tokenize = Callable[[str], Sequence[str]]


def split_by_spaces(text: str) -> list[str]:
    """The tokens of a text, between its spaces."""
    return text.split(" ")


def hashed(token: str, count: int) -> int:
    """A place from 0 to below a number, the same in every process."""
    return _hash(token) % count


@lru_cache(maxsize=1 << 16)
def _hash(token: str) -> int:
    return int.from_bytes(hashlib.blake2b(token.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


class _OfTexts(ColumnPreprocessor):
    def __init__(
        self,
        columns: Sequence[str],
        tokenization_fn: Tokenize | None = None,
        output_columns: Sequence[str] | None = None,
    ) -> None:
        super().__init__(columns, output_columns)
        self.tokenization_fn = tokenization_fn or split_by_spaces

    def _tokens(self, name: str, column: pa.ChunkedArray) -> Iterable[Sequence[str]]:
        check_no_nulls(name, column)
        return map(self.tokenization_fn, python_of(column))


class Tokenizer(_OfTexts):
    """Texts as lists of tokens.

    Args:
        columns: columns of texts.
        tokenization_fn: from a text to its tokens; by default what stands between spaces.
        output_columns: their new names; the same by default.

    Example:
        >>> Tokenizer(["t"]).transform_batch({"t": np.array(["to be"])})["t"]
        array([list(['to', 'be'])], dtype=object)
    """

    _is_fittable = False

    def _changed(self, name: str, column: pa.ChunkedArray) -> pa.Array:
        return pa.array([list(tokens) for tokens in self._tokens(name, column)], pa.list_(pa.string()))


class _TokenCounts(Aggregation):
    def __init__(self, on: str, preprocessor: CountVectorizer) -> None:
        super().__init__(f"token_counts({on})", on=on, ignore_nulls=False)
        self.preprocessor = preprocessor

    def of_group(self, group: pa.Table) -> Any:
        counts: Counter[str] = Counter()
        for tokens in self.preprocessor._tokens(str(self.on), group.column(self.on)):
            counts.update(tokens)
        return (list(counts), list(counts.values()))


class CountVectorizer(_OfTexts):
    """Texts as vectors of how often each token is in them; the most frequent token has the first place.

    Args:
        columns: columns of texts.
        tokenization_fn: from a text to its tokens; by default what stands between spaces.
        max_features: how many of the most frequent tokens have a place; None: all.
        output_columns: their new names; the same by default.
    """

    def __init__(
        self,
        columns: Sequence[str],
        tokenization_fn: Tokenize | None = None,
        max_features: int | None = None,
        *,
        output_columns: Sequence[str] | None = None,
    ) -> None:
        super().__init__(columns, tokenization_fn, output_columns)
        self.max_features = max_features

    def _fit(self, ds: Dataset) -> None:
        found = ds.aggregate(*[_TokenCounts(name, self) for name in self.columns])
        self.stats_ = {}
        for name in self.columns:
            tokens, numbers = found[f"token_counts({name})"] if found is not None else ([], [])
            counts = Counter(dict(zip(tokens, numbers, strict=True)))
            self.stats_[f"token_counts({name})"] = Counter(dict(counts.most_common(self.max_features)))

    def _changed(self, name: str, column: pa.ChunkedArray) -> pa.Array:
        places = {token: place for place, token in enumerate(self.stats_[f"token_counts({name})"])}
        found = np.zeros((len(column), len(places)), dtype=np.int64)
        for row, tokens in enumerate(self._tokens(name, column)):
            for token in tokens:
                if token in places:
                    found[row, places[token]] += 1
        return tensor_column(found)


class HashingVectorizer(_OfTexts):
    """Texts as vectors of so many numbers: each token counts at the place of its hash, so there is nothing to learn.

    Args:
        columns: columns of texts.
        num_features: numbers of a vector.
        tokenization_fn: from a text to its tokens; by default what stands between spaces.
        output_columns: their new names; the same by default.

    Raises:
        ValueError: ``num_features`` is not positive.
    """

    _is_fittable = False

    def __init__(
        self,
        columns: Sequence[str],
        num_features: int,
        tokenization_fn: Tokenize | None = None,
        *,
        output_columns: Sequence[str] | None = None,
    ) -> None:
        super().__init__(columns, tokenization_fn, output_columns)
        self.num_features = positive(num_features)

    def _changed(self, name: str, column: pa.ChunkedArray) -> pa.Array:
        found = np.zeros((len(column), self.num_features), dtype=np.int64)
        for row, tokens in enumerate(self._tokens(name, column)):
            for token in tokens:
                found[row, hashed(token, self.num_features)] += 1
        return tensor_column(found)


class FeatureHasher(Preprocessor):
    """Columns of numbers, such as counts of tokens, as one vector: each counts at the place of its column's hash.

    Args:
        columns: columns of numbers.
        num_features: numbers of the vector.
        output_column: the new column.

    Raises:
        ValueError: ``num_features`` is not positive.
    """

    _is_fittable = False

    def __init__(self, columns: Sequence[str], num_features: int, output_column: str) -> None:
        self.columns = list(columns)
        self.num_features = positive(num_features)
        self.output_column = output_column

    def get_output_columns(self) -> list[str]:
        return [self.output_column]

    def _transform_table(self, table: pa.Table) -> pa.Table:
        check_columns(self.columns, table.column_names)
        arrays = [np.nan_to_num(table.column(name).to_numpy()) for name in self.columns]
        dtype = np.result_type(np.int64, *[array.dtype for array in arrays])
        found = np.zeros((table.num_rows, self.num_features), dtype=dtype)
        for name, array in zip(self.columns, arrays, strict=True):
            found[:, hashed(name, self.num_features)] += array
        return with_column(table, self.output_column, tensor_column(found))


def positive(num_features: int) -> int:
    """The number of features.

    Raises:
        ValueError: It is not positive.
    """
    if num_features < 1:
        raise ValueError(f"num_features must be positive, but is {num_features}")
    return num_features
