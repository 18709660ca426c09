"""Preprocessors, each beside scikit-learn or pandas on a small table. Fitting needs no session; transforming does."""

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import ray_async as ray
from ray_async.data import UnknownColumnError
from ray_async.data.constants import MAX_REPR_LENGTH
from ray_async.data.preprocessor import FitStatus
from ray_async.data.preprocessors import (
    Categorizer,
    Chain,
    Concatenator,
    CountVectorizer,
    CustomKBinsDiscretizer,
    FeatureHasher,
    HashingVectorizer,
    LabelEncoder,
    MaxAbsScaler,
    MinMaxScaler,
    MultiHotEncoder,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    Preprocessor,
    PreprocessorNotFittedException,
    RobustScaler,
    SimpleImputer,
    StandardScaler,
    Tokenizer,
    TorchVisionPreprocessor,
    UniformKBinsDiscretizer,
)
from ray_async.data.util.data_batch_conversion import BatchFormat

NUMBERS = pd.DataFrame({"a": [1.0, 2.5, -3.0, 4.0, 10.0], "b": [3.0] * 5, "i": [-4, 0, 2, 10, 7]})
COLUMNS = list(NUMBERS)
CATEGORIES = [
    {"s": "b", "l": ["x", "y"], "n": 3},
    {"s": "a", "l": ["y"], "n": 1},
    {"s": "b", "l": [], "n": 3},
    {"s": "c", "l": ["z", "y", "y"], "n": 1},
]
UNSEEN = {"s": ["a", "q"], "l": [["q", "x"], []], "n": [9, 1]}
TEXTS = ["the cat", "a dog the", "the the"]


def of(rows: Any) -> Any:
    return ray.data.from_pandas(rows) if isinstance(rows, pd.DataFrame) else ray.data.from_items(rows)


def table(rows: Any) -> pa.Table:
    return of(rows).to_arrow()


def values(found: pa.Table, name: str) -> list[Any]:
    return [
        row[name].tolist() if hasattr(row[name], "tolist") else row[name]
        for row in ray.data.from_arrow(found).take_all()
    ]


@pytest.fixture(scope="module")
def sklearn() -> Any:
    """Scikit-learn's preprocessors; its import takes seconds, which every run of any test would wait for."""
    import sklearn.preprocessing

    return sklearn.preprocessing


@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [
        (StandardScaler(COLUMNS), "StandardScaler", {}),
        (MinMaxScaler(COLUMNS), "MinMaxScaler", {}),
        (MaxAbsScaler(COLUMNS), "MaxAbsScaler", {}),
        (RobustScaler(COLUMNS), "RobustScaler", {}),
        (RobustScaler(COLUMNS, quantile_range=(0.1, 0.8)), "RobustScaler", {"quantile_range": (10, 80)}),
        (Normalizer(COLUMNS), "Normalizer", {}),
        (Normalizer(COLUMNS, norm="l1"), "Normalizer", {"norm": "l1"}),
        (Normalizer(COLUMNS, norm="max"), "Normalizer", {"norm": "max"}),
    ],
    ids=repr,
)
def test_numbers_are_those_of_sklearn(sklearn: Any, ours: Preprocessor, theirs: str, options: dict[str, Any]) -> None:
    expected = getattr(sklearn, theirs)(**options).fit_transform(NUMBERS.to_numpy())
    ours.fit(of(NUMBERS))
    for batch in (NUMBERS, table(NUMBERS), {name: NUMBERS[name].to_numpy() for name in COLUMNS}):
        found = ours.transform_batch(batch)
        assert type(found) is type(batch)
        np.testing.assert_allclose(np.stack([np.asarray(found[name]) for name in COLUMNS], axis=1), expected)
    again = pickle.loads(pickle.dumps(ours)).transform_batch(NUMBERS)
    np.testing.assert_array_equal(again.to_numpy(), ours.transform_batch(NUMBERS).to_numpy())
    assert type(Preprocessor.deserialize(ours.serialize())) is type(ours)


@pytest.mark.parametrize("power", [-1.0, 0, 0.5, 2, 3.0])
@pytest.mark.parametrize("method", ["yeo-johnson", "box-cox"])
def test_powers_are_those_of_sklearn(sklearn: Any, power: float, method: str) -> None:
    data = NUMBERS[["a", "i"]] if method == "yeo-johnson" else NUMBERS[["a", "i"]].abs() + 1
    theirs = sklearn.PowerTransformer(method=method, standardize=False).fit(data.to_numpy())
    theirs.lambdas_ = np.array([power, power], dtype=float)
    found = PowerTransformer(["a", "i"], power, method).transform_batch(data)
    np.testing.assert_allclose(found.to_numpy(), theirs.transform(data.to_numpy()))


def test_missing_numbers_do_not_count_and_stay() -> None:
    rows = [{"a": 1.0}, {"a": None}, {"a": 5.0}, {"a": float("nan")}]
    scaler = StandardScaler(["a"], output_columns=["z"]).fit(of(rows))
    found = scaler.transform_batch(table(rows))
    assert found.column_names == ["a", "z"] and scaler.stats_ == {"mean(a)": 3.0, "std(a)": 2.0}
    assert found["z"].to_pylist()[:3] == [-1.0, None, 1.0] and np.isnan(found["z"][3].as_py())
    nothing = MinMaxScaler(["a"]).fit(of([{"a": None}]))
    assert nothing.transform_batch(table([{"a": 1.0}]))["a"].to_pylist() == [None]
    lengths = Normalizer(["a", "b"]).transform_batch(table([{"a": None, "b": 2.0}, {"a": 0.0, "b": 0.0}]))
    assert lengths["a"].to_pylist() == [None, 0.0] and lengths["b"].to_pylist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("strategy", "column", "expected"),
    [
        ("mean", "x", [1.0, 7 / 3, 4.0, 2.0, 7 / 3]),
        ("most_frequent", "s", ["b", "a", "b", "b", "a"]),
        ("constant", "i", [1, 7, 7, 2, 3]),
    ],
)
def test_imputers(strategy: str, column: str, expected: list[Any]) -> None:
    frame = {
        "x": [1.0, None, 4.0, 2.0, float("nan")],
        "s": ["b", "a", None, "b", "a"],
        "i": [1, None, None, 2, 3],
    }
    data = pa.table(frame)
    imputer = SimpleImputer([column], strategy, 7 if strategy == "constant" else None)
    assert imputer.fit(ray.data.from_arrow(data)).transform_batch(data)[column].to_pylist() == pytest.approx(expected)


def test_imputers_that_cannot() -> None:
    with pytest.raises(ValueError, match="not supported"):
        SimpleImputer(["x"], "median")
    with pytest.raises(ValueError, match="fill_value"):
        SimpleImputer(["x"], "constant")
    made = SimpleImputer(["new"], "constant", "z").transform_batch(table([{"x": 1}]))
    assert made.to_pylist() == [{"x": 1, "new": "z"}]
    empty = SimpleImputer(["x"]).fit(of([{"x": None}]))
    with pytest.raises(ValueError, match="'x' has no fill value"):
        empty.transform_batch(table([{"x": None}]))


class TestCategories:
    def test_ordinals_are_those_of_sklearn(self, sklearn: Any) -> None:
        frame = pd.DataFrame(CATEGORIES)[["s", "n"]]
        expected = sklearn.OrdinalEncoder().fit_transform(frame)
        encoder = OrdinalEncoder(["s", "n"]).fit(of(CATEGORIES))
        np.testing.assert_array_equal(encoder.transform_batch(frame).to_numpy(), expected)
        assert encoder.stats_ == {"unique_values(s)": {"a": 0, "b": 1, "c": 2}, "unique_values(n)": {1: 0, 3: 1}}
        assert encoder.transform_batch(pa.table(UNSEEN)).select(["s", "n"]).to_pylist() == [
            {"s": 0, "n": None},
            {"s": None, "n": 0},
        ]
        other = encoder.transform_batch(pa.table({"s": ["c"], "n": pa.array([3], pa.int8())}))
        assert other.to_pylist() == [{"s": 2, "n": 1}]

    def test_ordinals_of_lists(self) -> None:
        items = OrdinalEncoder(["l"]).fit(of(CATEGORIES))
        assert items.transform_batch(table(CATEGORIES))["l"].to_pylist() == [[0, 1], [1], [], [2, 1, 1]]
        assert items.transform_batch(pa.table(UNSEEN))["l"].to_pylist() == [[None, 0], []]
        whole = OrdinalEncoder(["l"], encode_lists=False).fit(of(CATEGORIES))
        assert whole.transform_batch(table(CATEGORIES))["l"].to_pylist() == [1, 2, 0, 3]

    def test_one_hot_is_that_of_sklearn(self, sklearn: Any) -> None:
        frame = pd.DataFrame(CATEGORIES)[["s", "n"]]
        expected = sklearn.OneHotEncoder(sparse_output=False, handle_unknown="ignore").fit(frame)
        encoder = OneHotEncoder(["s", "n"]).fit(of(CATEGORIES))
        for data in (frame, pd.DataFrame(UNSEEN)[["s", "n"]]):
            found = encoder.transform_batch({name: data[name].to_numpy() for name in data})
            assert found["s"].dtype == np.uint8
            np.testing.assert_array_equal(np.concatenate([found["s"], found["n"]], axis=1), expected.transform(data))
        frequent = OneHotEncoder(["s"], max_categories={"s": 1}).fit(of(CATEGORIES))
        assert values(frequent.transform_batch(table(CATEGORIES)), "s") == [[1], [0], [1], [0]]
        with pytest.raises(ValueError, match="'q'"):
            OneHotEncoder(["s"], max_categories={"q": 1})

    def test_multi_hot(self) -> None:
        encoder = MultiHotEncoder(["l"], output_columns=["v"]).fit(of(CATEGORIES))
        found = encoder.transform_batch(table(CATEGORIES))
        assert values(found, "v") == [[1, 1, 0], [0, 1, 0], [0, 0, 0], [0, 2, 1]]
        assert values(encoder.transform_batch(pa.table(UNSEEN)), "v") == [[1, 0, 0], [0, 0, 0]]
        frequent = MultiHotEncoder(["l"], max_categories={"l": 1}).fit(of(CATEGORIES))
        assert values(frequent.transform_batch(table(CATEGORIES)), "l") == [[1], [1], [0], [2]]

    def test_labels(self, sklearn: Any) -> None:
        labels = [row["s"] for row in CATEGORIES]
        encoder = LabelEncoder("s").fit(of(CATEGORIES))
        expected = sklearn.LabelEncoder().fit_transform(labels).tolist()
        assert encoder.transform_batch(table(CATEGORIES))["s"].to_pylist() == expected
        assert encoder.transform_batch(pa.table(UNSEEN))["s"].to_pylist() == [0, None]
        assert encoder._labels_of(encoder.transform_batch(table(CATEGORIES)))["s"].to_pylist() == labels

    def test_categories_of_pandas(self) -> None:
        given = pd.CategoricalDtype(["a", "b"], ordered=True)
        encoder = Categorizer(["s", "n"], dtypes={"s": given}).fit(of([*CATEGORIES, {"s": "a", "l": [], "n": None}]))
        found = encoder.transform_batch(pd.DataFrame(UNSEEN))
        assert found["s"].dtype == given and list(found["n"].dtype.categories) == [1, 3]
        assert found["s"].isna().tolist() == [False, True] and found["n"].isna().tolist() == [True, False]

    @pytest.mark.parametrize(
        "make",
        [
            lambda: OrdinalEncoder(["s"]),
            lambda: OneHotEncoder(["s"]),
            lambda: MultiHotEncoder(["s"]),
            lambda: LabelEncoder("s"),
        ],
        ids=["ordinal", "one hot", "multi hot", "label"],
    )
    def test_nulls_are_refused_and_named(self, make: Any) -> None:
        for missing in ({"s": None}, {"s": float("nan")}):
            with pytest.raises(ValueError, match="fit column 's' because it contains null"):
                make().fit(of([{"s": 1.5}, missing]))
            with pytest.raises(ValueError, match="transform column 's' because it contains null"):
                make().fit(of([{"s": 1.5}])).transform_batch(table([{"s": 1.5}, missing]))


class TestBins:
    def test_given_ones(self) -> None:
        data = pd.DataFrame({"i": [-4, 0, 2, 10], "x": [1.0, None, 99.0, 0.0]})
        bins = CustomKBinsDiscretizer(["i", "x"], {"i": [-5, 0, 5, 10], "x": [0, 1, 2]}, output_columns=["p", "q"])
        found = bins.transform_batch(data)
        assert found["p"].tolist() == [0, 0, 1, 2] and found["q"].isna().tolist() == [False, True, True, True]
        left = CustomKBinsDiscretizer(["i"], [-5, 0, 5, 10], right=False).transform_batch(data)["i"]
        expected = pd.cut(data["i"], [-5, 0, 5, 10], right=False, labels=False)
        pd.testing.assert_series_equal(left, expected)
        named = pd.CategoricalDtype(["low", "mid", "high"], ordered=True)
        words = CustomKBinsDiscretizer(["i"], [-5, 0, 5, 10], dtypes={"i": named}).transform_batch(data)["i"]
        assert words.tolist() == ["low", "low", "mid", "high"] and words.dtype == named
        with pytest.raises(ValueError, match="'x'"):
            CustomKBinsDiscretizer(["i", "x"], {"i": [0, 1]})

    @pytest.mark.parametrize("right", [True, False])
    def test_even_ones_are_those_of_pandas(self, right: bool) -> None:
        bins = UniformKBinsDiscretizer(["i", "a"], {"i": 3, "a": 4}, right=right).fit(of(NUMBERS))
        found = bins.transform_batch(NUMBERS)
        for name, count in (("i", 3), ("a", 4)):
            expected = pd.cut(NUMBERS[name], count, right=right, labels=False)
            pd.testing.assert_series_equal(found[name], expected)
        constant = UniformKBinsDiscretizer(["b"], 2).fit(of(NUMBERS))
        assert constant.transform_batch(NUMBERS)["b"].notna().all()
        with pytest.raises(TypeError, match="bins"):
            UniformKBinsDiscretizer(["i"], 0)


class TestVectors:
    def test_concatenation(self) -> None:
        data = {"a": np.array([1, 2]), "v": np.array([[3.0, 4.0], [5.0, 6.0]]), "k": np.array(["x", "y"])}
        found = Concatenator(["v", "a"], "o", dtype=np.float32).transform_batch(data)
        assert list(found) == ["k", "o"] and found["o"].dtype == np.float32
        assert found["o"].tolist() == [[3, 4, 1], [5, 6, 2]]
        lists = Concatenator(["l", "n"]).transform_batch(pa.table({"l": [[1, 2], [3, 4]], "n": [0.5, 1.5]}))
        assert values(lists, "concat_out") == [[1, 2, 0.5], [3, 4, 1.5]]
        with pytest.raises(UnknownColumnError, match="'q'"):
            Concatenator(["a", "q"]).transform_batch(data)
        with pytest.raises(TypeError, match="'k'"):
            Concatenator(["a", "k"]).transform_batch(data)
        with pytest.raises(ValueError, match="'l' has vectors"):
            Concatenator(["l"]).transform_batch(pa.table({"l": [[1, 2], [3]]}))

    def test_counts_of_tokens_are_those_of_sklearn(self) -> None:
        data = pa.table({"t": TEXTS})
        vectorizer = CountVectorizer(["t"]).fit(ray.data.from_arrow(data))
        assert dict(vectorizer.stats_["token_counts(t)"]) == {"the": 4, "cat": 1, "a": 1, "dog": 1}
        from sklearn.feature_extraction.text import CountVectorizer as Theirs

        theirs = Theirs(token_pattern=r"\S+", vocabulary=list(vectorizer.stats_["token_counts(t)"]))
        assert values(vectorizer.transform_batch(data), "t") == theirs.transform(TEXTS).toarray().tolist()
        assert values(vectorizer.transform_batch(pa.table({"t": ["new the"]})), "t") == [[1, 0, 0, 0]]
        short = CountVectorizer(["t"], max_features=1, tokenization_fn=str.split).fit(ray.data.from_arrow(data))
        assert values(short.transform_batch(data), "t") == [[1], [1], [2]]

    def test_tokens_and_hashes(self) -> None:
        data = pa.table({"t": TEXTS, "x": [1, 0, 2], "y": [2, 5, 0]})
        assert Tokenizer(["t"]).transform_batch(data)["t"].to_pylist() == [text.split() for text in TEXTS]
        upper = Tokenizer(["t"], lambda text: text.upper().split(), output_columns=["u"]).transform_batch(data)
        assert upper["u"].to_pylist()[0] == ["THE", "CAT"] and upper["t"].to_pylist() == TEXTS
        hashed = values(HashingVectorizer(["t"], 1000).transform_batch(data), "t")
        assert [sum(row) for row in hashed] == [2, 3, 2] and max(hashed[2]) == 2
        both = values(FeatureHasher(["x", "y"], 100, "h").transform_batch(data), "h")
        assert [sorted(filter(None, row)) for row in both] == [[1, 2], [5], [2]]
        with pytest.raises(ValueError, match="num_features"):
            HashingVectorizer(["t"], 0)

    def test_transforms_of_pictures(self) -> None:
        data = {"image": np.zeros((2, 4, 4, 3), dtype=np.uint8)}
        picture = TorchVisionPreprocessor(["image"], lambda array: array.transpose(2, 0, 1) + 1, ["made"])
        found = picture.transform_batch(data)
        assert found["made"].shape == (2, 3, 4, 4) and found["made"].min() == 1 and list(found) == ["image", "made"]


class TestLife:
    def test_states(self) -> None:
        scaler, tokenizer = StandardScaler(["a"]), Tokenizer(["t"])
        assert scaler.fit_status() is FitStatus.NOT_FITTED and tokenizer.fit_status() is FitStatus.NOT_FITTABLE
        for call in (scaler.transform_batch, scaler.transform):
            with pytest.raises(PreprocessorNotFittedException, match="`fit` must be called"):
                call(of(NUMBERS))
        chain = Chain(SimpleImputer(["a"]), scaler)
        assert chain.fit_status() is FitStatus.NOT_FITTED and Chain(tokenizer).fit_status() is FitStatus.NOT_FITTABLE
        scaler.fit(of(NUMBERS))
        assert chain.fit_status() is FitStatus.PARTIALLY_FITTED and scaler.has_stats()
        with pytest.raises(PreprocessorNotFittedException):
            chain.transform_batch(NUMBERS)

    def test_bad_calls(self) -> None:
        with pytest.raises(UnknownColumnError, match="'zz'"):
            StandardScaler(["zz"]).fit(of(NUMBERS))
        with pytest.raises(TypeError, match="'s'"):
            StandardScaler(["s"]).fit(of(CATEGORIES))
        with pytest.raises(ValueError, match="output_columns"):
            StandardScaler(["a", "b"], output_columns=["x"])
        with pytest.raises(ValueError, match="list"):
            Tokenizer(["t"]).transform_batch([1])
        with pytest.raises(ValueError, match="Norm"):
            Normalizer(["a"], norm="l3")
        with pytest.raises(ValueError, match="Method"):
            PowerTransformer(["a"], 1, method="log")
        with pytest.raises(ValueError, match="quantile_range"):
            RobustScaler(["a"], quantile_range=(0.9, 0.1))
        shown = repr(StandardScaler(["a"]))
        assert shown == "StandardScaler(columns=['a'], output_columns=['a'])" and len(shown) < MAX_REPR_LENGTH

    def test_one_of_a_users_own(self) -> None:
        class Double(Preprocessor):
            _is_fittable = False

            def _transform_numpy(self, batch: dict[str, Any]) -> dict[str, Any]:
                return {name: 2 * array for name, array in batch.items()}

        assert Double().transform_batch(pa.table({"x": [1, 2]}))["x"].tolist() == [2, 4]
        assert Double().transform_batch({"x": np.array([1])})["x"].tolist() == [2]

    def test_the_method_that_transforms(self) -> None:
        class Both(Preprocessor):
            _is_fittable = False
            preferred = "pandas"

            def preferred_batch_format(self) -> str:
                return self.preferred

            def _transform_pandas(self, frame: Any) -> Any:
                return frame.assign(y=1)

            def _transform_numpy(self, batch: Any) -> Any:
                return batch * 2 if isinstance(batch, np.ndarray) else {**batch, "y": np.array([2] * len(batch["x"]))}

        given = pa.table({"x": [1]})
        assert (
            Both().transform_batch(given)["y"].tolist() == [1] and type(Both().transform_batch(given)) is pd.DataFrame
        )
        assert list(Both().transform_batch(np.array([[1, 2]])).columns) == ["data", "y"]
        Both.preferred = BatchFormat.NUMPY
        assert Both().transform_batch(given)["y"].tolist() == [2]
        assert Both().transform_batch(np.array([[1, 2]])).tolist() == [[2, 4]]

        class Neither(Preprocessor):
            _is_fittable = False

        for call in (Neither().transform, Neither().transform_batch):
            with pytest.raises(NotImplementedError, match="Neither needs a method _transform_pandas"):
                call(ray.data.range(1) if call == Neither().transform else given)

    def test_fitted_anew(self) -> None:
        class Learns(Preprocessor):
            def _fit(self, ds: Any) -> None:
                pass

        learns, scaler = Learns(), StandardScaler(["a"])
        assert learns.fit_status() is Preprocessor.FitStatus.NOT_FITTED
        assert learns.fit(of(NUMBERS)).fit_status() is FitStatus.FITTED and not learns.has_stats()
        first = dict(scaler.fit(of(NUMBERS)).stats_)
        with pytest.warns(UserWarning, match="`fit` has already been called"):
            scaler.fit(ray.data.from_items([{"a": 7.0}]))
        assert scaler.stats_ != first and scaler.stats_["mean(a)"] == 7.0


@pytest.mark.usefixtures("session")
def test_datasets_on_workers(sklearn: Any) -> None:
    rows = [{"x": float(i), "s": "ab"[i % 2]} for i in range(4)]
    dataset = ray.data.from_items(rows, override_num_blocks=2)
    chain = Chain(StandardScaler(["x"]), OneHotEncoder(["s"]), Concatenator(["x", "s"], "v"))
    found = chain.fit_transform(dataset, batch_size=3)
    matrix = np.stack([row["v"] for row in found.take_all()])
    np.testing.assert_allclose(matrix[:, 0], sklearn.scale([0.0, 1.0, 2.0, 3.0]))
    assert matrix[:, 1:].tolist() == [[1, 0], [0, 1]] * 2
    assert chain.get_input_columns() == ["x", "s"] and chain.fit_status() is FitStatus.FITTED
    np.testing.assert_allclose(
        np.stack(chain.transform_batch({"x": np.array([1.5]), "s": np.array(["b"])})["v"]), [[0, 0, 1]]
    )
    labels = LabelEncoder("s").fit(dataset)
    assert [row["s"] for row in labels.inverse_transform(labels.transform(dataset)).take_all()] == ["a", "b", "a", "b"]
    categories = Categorizer(["s"]).fit_transform(dataset)
    assert [row["s"] for row in categories.take_all()] == ["a", "b", "a", "b"]


@pytest.mark.usefixtures("session")
def test_one_of_a_users_own_on_workers() -> None:
    class Lengths(Preprocessor):
        _is_fittable = False

        def _get_transform_config(self) -> dict[str, Any]:
            return {"batch_size": 2}

        def _transform_numpy(self, batch: dict[str, Any]) -> dict[str, Any]:
            return {**batch, "n": np.full(len(batch["x"]), len(batch["x"]))}

    dataset = ray.data.from_arrow(pa.table({"x": [1, 2, 3]}))
    assert [row["n"] for row in Lengths().transform(dataset).take_all()] == [2, 2, 1]
    assert [row["n"] for row in Lengths().transform(dataset, batch_size=3).take_all()] == [3, 3, 3]
