"""The small models of the Data demonstration: they embed texts and tell handwritten digits, with scikit-learn.

Their classes run in pools of actors: each actor makes its model once, from what the driver has fitted.
"""

from typing import Any

import numpy as np

__all__ = ("DIGITS", "Digits", "TextModel", "Topics", "fit_digits", "fit_texts")

TOPICS = 12
DIGITS = 10


class TextModel:
    """A fitted embedding of texts, with the topics that it was clustered into.

    Args:
        texts: what it is fitted to.
    """

    def __init__(self, texts: list[str]) -> None:
        from sklearn.cluster import KMeans
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import Normalizer

        words = TfidfVectorizer(max_features=8000, sublinear_tf=True, stop_words="english", min_df=3)
        self.embedding = make_pipeline(words, TruncatedSVD(64, random_state=0), Normalizer())
        vectors = self.embedding.fit_transform(texts)
        self.clusters = KMeans(TOPICS, n_init=1, random_state=0).fit(vectors)
        weights = self.embedding[1].inverse_transform(self.clusters.cluster_centers_)
        names = self.embedding[0].get_feature_names_out()
        self.topics = np.array([" ".join(names[np.argsort(-row)[:3]]) for row in weights], dtype=object)


def fit_texts(texts: list[str]) -> TextModel:
    """A model of these texts."""
    return TextModel(texts)


class Topics:
    """Adds to each text its embedding, its topic, and how near it is to the topic's middle.

    Args:
        model: a fitted model.
    """

    def __init__(self, model: TextModel) -> None:
        self.model = model

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        vectors = self.model.embedding.transform(batch["text"])
        distances = self.model.clusters.transform(vectors)
        batch["embedding"] = vectors.astype(np.float32)
        batch["topic"] = self.model.topics[distances.argmin(1)]
        batch["nearness"] = 1 / (1 + distances.min(1))
        return batch


def fit_digits(pictures: Any, labels: Any) -> Any:
    """A small network that tells digits from pictures of 8 by 8 grey pixels."""
    from sklearn.neural_network import MLPClassifier

    network = MLPClassifier((64,), max_iter=60, random_state=0, tol=1e-2)
    return network.fit(np.asarray(pictures).reshape(len(pictures), -1) / 255.0, labels)


class Digits:
    """Adds to each picture the digit that the network sees, and drops the picture.

    Args:
        network: a fitted network.
    """

    def __init__(self, network: Any) -> None:
        self.network = network

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        pixels = batch["image"].reshape(len(batch["image"]), -1) / 255.0
        labels = [int(path.rsplit("-", 1)[1].split(".")[0]) for path in batch["path"]]
        seen = self.network.predict(pixels)
        return {"digit": np.array(labels), "seen": seen, "right": (seen == labels).astype(np.float64)}
