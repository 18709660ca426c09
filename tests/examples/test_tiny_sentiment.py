"""The stand-in model answers like a transformers pipeline, and sensibly."""

import pytest

from examples.tiny_sentiment import TinySentiment


@pytest.mark.parametrize(
    ("text", "label"), [("Great product!", "POSITIVE"), ("Terrible service", "NEGATIVE"), ("I HATE it", "NEGATIVE")]
)
def test_labels(text: str, label: str) -> None:
    (answer,) = TinySentiment()(text)
    assert answer["label"] == label
    assert 0.5 < float(answer["score"]) <= 1.0


def test_unknown_words_are_a_toss_up() -> None:
    (answer,) = TinySentiment()("")
    assert answer["score"] == pytest.approx(0.5)
