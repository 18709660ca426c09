"""Stateful workers: distributed objects that keep state across calls.

The model is the one of the name where `transformers` is installed and its hub (or cache) has it; else a tiny one that
is built on the spot.

    python -m examples.ray_actors
"""

import ray_async as ray


def load_pipeline(model_name: str):  # type: ignore[no-untyped-def]
    """The sentiment pipeline of that name, or the tiny stand-in where it cannot be had."""
    try:
        from transformers import pipeline

        return pipeline("sentiment-analysis", model=model_name)
    except (ImportError, OSError) as error:
        from examples.tiny_sentiment import TinySentiment

        print(f"{model_name} cannot be had here ({type(error).__name__}); a tiny model takes its place.")
        return TinySentiment()


@ray.remote
class ModelServer:
    def __init__(self, model_name: str):
        self.pipe = load_pipeline(model_name)
        self.request_count = 0

    def predict(self, text: str) -> dict[str, str | float]:
        self.request_count += 1
        return dict(self.pipe(text)[0])

    def get_stats(self) -> dict[str, int]:
        return {"requests": self.request_count}


# Create 3 actor replicas
servers = [ModelServer.remote("distilbert-base-uncased-finetuned-sst-2-english") for _ in range(3)]

# Distribute requests across actors
texts = ["Great product!", "Terrible service", "It's okay"] * 10
futures = [servers[i % 3].predict.remote(text) for i, text in enumerate(texts)]
results = ray.get(futures)

for text, result in zip(texts[:3], results[:3], strict=True):
    print(f"{text:20} {result['label']:10} {result['score']:.3f}")
print("Served by each replica:", ray.get([server.get_stats.remote() for server in servers]))
