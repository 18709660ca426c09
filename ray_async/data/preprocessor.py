"""The base of preprocessors: what is learnt of a dataset, and applied to datasets and to batches."""

from __future__ import annotations

import base64
import pickle
import warnings
from abc import ABC
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias

import cloudpickle
import numpy as np
import pyarrow as pa

from ray_async.data.block.batches import batch_of, table_of_batch
from ray_async.data.plan.columns import check_columns
from ray_async.data.util.data_batch_conversion import BatchFormat

if TYPE_CHECKING:
    from ray_async.data.dataset.dataset import Dataset

__all__ = ("FitStatus", "Preprocessor", "PreprocessorNotFittedException", "check_outputs")

_NO_METHOD = "{} needs a method _transform_pandas(frame) or _transform_numpy(arrays)"
_FITTED_AGAIN = (
    "`fit` has already been called on the preprocessor (or at least one contained preprocessors if this is a chain). "
    "All previously fitted state will be overwritten!"
)


class PreprocessorNotFittedException(RuntimeError):
    """A preprocessor was asked to transform before it was fitted."""


class FitStatus(StrEnum):
    """Whether a preprocessor has learnt what it needs; of chains also some of its parts, or nothing to learn."""

    NOT_FITTABLE = "NOT_FITTABLE"
    NOT_FITTED = "NOT_FITTED"
    PARTIALLY_FITTED = "PARTIALLY_FITTED"
    FITTED = "FITTED"


_Status: TypeAlias = FitStatus


class Preprocessor(ABC):  # noqa: B024 - classes of users' own override what they have
    """The base class of preprocessors. `fit` learns of a dataset, `transform` changes one, `transform_batch` a batch.

    Classes of users' own override ``_fit(dataset)``, which sets ``stats_``, and ``_transform_pandas(frame)`` or
    ``_transform_numpy(arrays)``; one that learns nothing sets ``_is_fittable = False``. Of one with both methods the
    first is called, unless ``preferred_batch_format()`` says "numpy". ``_get_transform_config()`` may give options of
    `map_batches`.

    Attributes:
        stats_: what was learnt.

    Example:
        >>> scaler = StandardScaler(columns=["x"])
        >>> scaled = scaler.fit_transform(train)
        >>> scaler.transform_batch({"x": np.array([1.0])})
    """

    FitStatus: ClassVar[type[_Status]] = _Status
    _is_fittable = True
    _is_fitted = False
    #: Whether a batch comes back in the form in which it was given, and not in that of the method that transforms.
    _keeps_form = False

    def fit_status(self) -> _Status:
        """Whether it is ready to transform."""
        if not self._is_fittable:
            return FitStatus.NOT_FITTABLE
        return FitStatus.FITTED if self._is_fitted or hasattr(self, "stats_") else FitStatus.NOT_FITTED

    def has_stats(self) -> bool:
        """Whether it has learnt something."""
        return bool(getattr(self, "stats_", None))

    def fit(self, ds: Dataset) -> Self:
        """Learn of a dataset; what was learnt before is forgotten.

        Raises:
            UnknownColumnError: It lacks a column.
            ValueError: A column holds what this preprocessor cannot learn of, for instance nulls as categories.
            TypeError: A column is of the wrong type.
        """
        if self._is_fittable:
            check_columns(self.get_input_columns(), ds.columns())
            if self.fit_status() is FitStatus.FITTED:
                warnings.warn(_FITTED_AGAIN, stacklevel=2)
            self.__dict__.pop("stats_", None)
            self._fit(ds)
            self._is_fitted = True
        return self

    def transform(
        self,
        ds: Dataset,
        *,
        batch_size: int | None = None,
        num_cpus: float | None = None,
        memory: float | None = None,
        concurrency: int | None = None,
    ) -> Dataset:
        """A dataset whose batches are transformed.

        Args:
            batch_size: rows of a batch; None: blocks as they are.
            num_cpus: CPUs of each call.
            memory: bytes of each call.
            concurrency: calls at a time.

        Raises:
            PreprocessorNotFittedException: It is not fitted.
            NotImplementedError: Its class has no method that transforms.
        """
        self._check_fitted("transform", ", or fit_transform() called")
        needs = {"batch_size": batch_size, "num_cpus": num_cpus, "memory": memory, "concurrency": concurrency}
        options: dict[str, Any] = {name: value for name, value in needs.items() if value is not None}
        options = {**self._get_transform_config(), **options}
        form = self._batch_format()
        if form == "pyarrow":
            return ds.map_batches(self.transform_batch, batch_format=form, **options)
        # The method itself, and not `transform_batch`, is the stage's function: plans and errors have its name.
        return ds.map_batches(
            getattr(self, f"_transform_{form}"), batch_format=BatchFormat(form), zero_copy_batch=True, **options
        )

    def fit_transform(self, ds: Dataset, **options: Any) -> Dataset:
        """`fit`, then `transform` with the same options."""
        return self.fit(ds).transform(ds, **options)

    def transform_batch(self, data: Any) -> Any:
        """A batch that is transformed: a DataFrame, an Arrow table, a dict of arrays, or an array.

        Returns:
            The same form of batch. Of users' own classes: what their method gives.

        Raises:
            PreprocessorNotFittedException: It is not fitted.
            NotImplementedError: Its class has no method that transforms.
            ValueError: The data is something else.
        """
        self._check_fitted("transform_batch")
        form = _form(data)
        own = self._batch_format()
        if own == "pyarrow":
            return _in_form(self._transform_table(_table(data)), form)
        method = getattr(self, f"_transform_{own}")
        if own == "numpy" and isinstance(data, np.ndarray):
            return method(data)
        batch = data.copy() if form == own == "pandas" else data if form == own else _in_form(_table(data), own)
        found = method(batch if own == "pandas" else dict(batch))
        return _in_form(table_of_batch(found), form) if self._keeps_form and form != own else found

    def get_input_columns(self) -> list[str]:
        """The columns that it reads."""
        return list(getattr(self, "columns", None) or ())

    def get_output_columns(self) -> list[str]:
        """The columns that it writes."""
        return list(getattr(self, "output_columns", None) or self.get_input_columns())

    def serialize(self) -> str | bytes:
        """Itself as bytes, for `deserialize`."""
        return cloudpickle.dumps(self)  # type: ignore[no-any-return]

    @staticmethod
    def deserialize(serialized: str | bytes) -> Preprocessor:
        """What `serialize` has made; only of a source that is trusted, since pickles can run any code.

        Raises:
            TypeError: It was no preprocessor.
        """
        data = base64.b64decode(serialized) if isinstance(serialized, str) else serialized
        found = pickle.loads(data)
        if not isinstance(found, Preprocessor):
            raise TypeError(f"the bytes hold no preprocessor, but {type(found).__name__}")
        return found

    def _fit(self, ds: Dataset) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs a method _fit(dataset)")

    def _transform_table(self, table: pa.Table) -> pa.Table:
        raise NotImplementedError(_NO_METHOD.format(type(self).__name__))

    def preferred_batch_format(self) -> str:
        """The form that is taken of a class that can transform both: "pandas" or "numpy"."""
        return BatchFormat.PANDAS

    def _determine_transform_to_use(self) -> str:
        has = [form for form in ("pandas", "numpy") if hasattr(self, f"_transform_{form}")]
        if not has and type(self)._transform_table is Preprocessor._transform_table:
            raise NotImplementedError(_NO_METHOD.format(type(self).__name__))
        return str(self.preferred_batch_format()) if len(has) == 2 else (has or ["pyarrow"])[0]

    def _get_transform_config(self) -> dict[str, Any]:
        return {}

    def _batch_format(self) -> str:
        return str(self._determine_transform_to_use())

    def _check_fitted(self, what: str, remedy: str = "") -> None:
        if self.fit_status() in (FitStatus.NOT_FITTED, FitStatus.PARTIALLY_FITTED):
            raise PreprocessorNotFittedException(f"`fit` must be called{remedy} before `{what}`.")

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={getattr(value, '__name__', None) or repr(value)}"
            for name, value in vars(self).items()
            if not name.startswith("_") and name != "stats_"
        )
        return f"{type(self).__name__}({shown})"


def check_outputs(columns: Sequence[str], output_columns: Sequence[str] | None) -> list[str]:
    """Names of the columns that are written, by default those that are read.

    Raises:
        ValueError: There are more or fewer of them.
    """
    if output_columns is None:
        return list(columns)
    if len(output_columns) != len(columns):
        raise ValueError(
            f"Invalid output_columns: Got len(columns) != len(output_columns): {len(columns)} and {len(output_columns)}"
        )
    return list(output_columns)


def _form(data: Any) -> str:
    if isinstance(data, (pa.Table, pa.RecordBatch)):
        return "pyarrow"
    if isinstance(data, (Mapping, np.ndarray)):
        return "numpy"
    kind = type(data)
    if kind.__name__ == "DataFrame" and kind.__module__.partition(".")[0] in ("pandas", "polars"):
        return kind.__module__.partition(".")[0]
    raise ValueError(
        f"transform_batch takes a DataFrame, an Arrow table or a dict of arrays, but got {type(data).__name__}"
    )


def _table(data: Any) -> pa.Table:
    return table_of_batch({"data": data} if isinstance(data, np.ndarray) else data)


def _in_form(table: pa.Table, form: str) -> Any:
    return batch_of(table, form)
