"""Deploy a model as an HTTP endpoint.

It asks for half a GPU for each replica; without one, `serve.run` says so. A node can be told that it has one, as in
`ray.init(num_gpus=1)`, or:

    ray_async start --head --num-gpus 1
    python -m examples.serve_model

    curl -X POST http://localhost:8000 -H "Content-Type: application/json" -d '{"text": "Ray Serve is excellent!"}'

`examples.tiny_hub` makes a small model for where no hub can be reached.
"""
# mypy: ignore-errors
# The program is as its users write it: without types.

from starlette.requests import Request

from ray_async import serve


@serve.deployment(num_replicas=2, ray_actor_options={"num_gpus": 0.5})
class SentimentService:
    def __init__(self):
        from transformers import pipeline

        self.classifier = pipeline("sentiment-analysis")

    async def __call__(self, request: Request) -> dict:
        body = await request.json()
        text = body.get("text", "")
        result = self.classifier(text)[0]
        return {"label": result["label"], "score": result["score"]}


app = SentimentService.bind()
serve.run(app, host="0.0.0.0", port=8000)
