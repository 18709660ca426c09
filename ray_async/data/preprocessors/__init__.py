"""Preprocessors: what is learnt of the columns of a dataset, and applied to datasets and batches.

`columnwise` is the base of those that make one column of one, `categories` counts and numbers values; each other module
is one kind. Statistics are aggregations of the dataset, transformations are `map_batches`.
"""

from __future__ import annotations

from ray_async.data.preprocessor import Preprocessor, PreprocessorNotFittedException
from ray_async.data.preprocessors.chain import Chain
from ray_async.data.preprocessors.concatenator import Concatenator
from ray_async.data.preprocessors.discretizers import CustomKBinsDiscretizer, UniformKBinsDiscretizer
from ray_async.data.preprocessors.encoders import (
    Categorizer,
    LabelEncoder,
    MultiHotEncoder,
    OneHotEncoder,
    OrdinalEncoder,
)
from ray_async.data.preprocessors.imputer import SimpleImputer
from ray_async.data.preprocessors.normalizing import Normalizer, PowerTransformer
from ray_async.data.preprocessors.scalers import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from ray_async.data.preprocessors.texts import CountVectorizer, FeatureHasher, HashingVectorizer, Tokenizer
from ray_async.data.preprocessors.torchvision import TorchVisionPreprocessor

__all__ = (
    "Categorizer",
    "Chain",
    "Concatenator",
    "CountVectorizer",
    "CustomKBinsDiscretizer",
    "FeatureHasher",
    "HashingVectorizer",
    "LabelEncoder",
    "MaxAbsScaler",
    "MinMaxScaler",
    "MultiHotEncoder",
    "Normalizer",
    "OneHotEncoder",
    "OrdinalEncoder",
    "PowerTransformer",
    "Preprocessor",
    "PreprocessorNotFittedException",
    "RobustScaler",
    "SimpleImputer",
    "StandardScaler",
    "Tokenizer",
    "TorchVisionPreprocessor",
    "UniformKBinsDiscretizer",
)
