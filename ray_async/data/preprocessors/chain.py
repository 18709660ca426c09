"""Chains: preprocessors one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from ray_async.data.preprocessor import FitStatus, Preprocessor

if TYPE_CHECKING:
    from ray_async.data.dataset.dataset import Dataset

__all__ = ("Chain",)


class Chain(Preprocessor):
    """Preprocessors one after the other: each is fitted to what those before it make.

    Args:
        preprocessors: the preprocessors.

    Example:
        >>> chain = Chain(SimpleImputer(["x"]), StandardScaler(["x"]))
        >>> chain.fit(train).transform(test)
    """

    def __init__(self, *preprocessors: Preprocessor) -> None:
        self.preprocessors = preprocessors

    def fit_status(self) -> FitStatus:
        states = [part.fit_status() for part in self.preprocessors]
        needing = [state for state in states if state is not FitStatus.NOT_FITTABLE]
        if not needing:
            return FitStatus.NOT_FITTABLE
        if all(state is FitStatus.FITTED for state in needing):
            return FitStatus.FITTED
        none = all(state is FitStatus.NOT_FITTED for state in needing)
        return FitStatus.NOT_FITTED if none else FitStatus.PARTIALLY_FITTED

    def has_stats(self) -> bool:
        return any(part.has_stats() for part in self.preprocessors)

    def fit(self, ds: Dataset) -> Self:
        self._fitted(ds, last=False)
        return self

    def fit_transform(self, ds: Dataset, **options: Any) -> Dataset:
        return self._fitted(ds, last=True, **options)

    def _fitted(self, ds: Dataset, *, last: bool, **options: Any) -> Dataset:
        for index, part in enumerate(self.preprocessors):
            part.fit(ds)
            if last or index + 1 < len(self.preprocessors):
                ds = part.transform(ds, **options)
        return ds

    def transform(self, ds: Dataset, **options: Any) -> Dataset:
        self._check_fitted("transform", ", or fit_transform() called")
        for part in self.preprocessors:
            ds = part.transform(ds, **options)
        return ds

    def transform_batch(self, data: Any) -> Any:
        self._check_fitted("transform_batch")
        for part in self.preprocessors:
            data = part.transform_batch(data)
        return data

    def get_input_columns(self) -> list[str]:
        """Columns that a part reads and no part before it writes."""
        needed: list[str] = []
        made: set[str] = set()
        for part in self.preprocessors:
            needed += [name for name in part.get_input_columns() if name not in made and name not in needed]
            made |= set(part.get_output_columns())
        return needed

    def get_output_columns(self) -> list[str]:
        return list(dict.fromkeys(name for part in self.preprocessors for name in part.get_output_columns()))

    def __repr__(self) -> str:
        return f"Chain({', '.join(map(repr, self.preprocessors))})"
