"""Types of columns."""

import numpy as np
import pyarrow as pa
import pytest

from ray_async.data.datatype import DataType, TypeCategory, arrow_type_of


def test_made_and_converted() -> None:
    made = DataType.struct(
        [("a", DataType.list(DataType.int32())), ("b", DataType.map(DataType.string(), DataType(int)))]
    )
    assert made.to_arrow_dtype() == pa.struct([("a", pa.list_(pa.int32())), ("b", pa.map_(pa.string(), pa.int64()))])
    assert DataType.from_numpy("float32").to_arrow_dtype() == pa.float32()
    assert DataType.float64().to_numpy_dtype() == np.dtype("float64")
    assert DataType.string().to_numpy_dtype() == np.dtype(object) == DataType(str).to_numpy_dtype()
    assert DataType(int).to_python_type() is int and DataType(list).to_arrow_dtype([[1]]) == pa.list_(pa.int64())
    assert DataType.temporal("timestamp", tz="UTC").arrow_type == pa.timestamp("us", "UTC")
    assert DataType.infer_dtype(np.int8(3)) == DataType(np.dtype("int8"))
    assert DataType.infer_dtype("x") == DataType.string()
    assert arrow_type_of("int64") == arrow_type_of(pa.int64()) == arrow_type_of(int) == pa.int64()
    with pytest.raises(TypeError):
        DataType("int64")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no type for list"):
        DataType(list).to_arrow_dtype()
    with pytest.raises(ValueError, match="no class"):
        DataType.int8().to_python_type()
    with pytest.raises(ValueError, match="temporal_type"):
        DataType.temporal("year")


@pytest.mark.parametrize(
    ("kind", "category"),
    [
        (DataType.list(DataType.int8()), "list"),
        (DataType.large_list(DataType.int8()), "large_list"),
        (DataType.fixed_size_list(DataType.int8(), 2), "list"),
        (DataType.struct([("a", DataType.bool())]), "struct"),
        (DataType.map(DataType.string(), DataType.binary()), TypeCategory.MAP),
        (DataType.tensor((2, 3), DataType.float32()), TypeCategory.TENSOR),
        (DataType.variable_shaped_tensor(DataType.float32()), TypeCategory.TENSOR),
        (DataType.from_numpy("datetime64[us]"), "temporal"),
    ],
)
def test_categories(kind: DataType, category: str) -> None:
    assert kind.is_of(category) and not DataType.uint8().is_of(category) and not kind.is_numerical_type()
