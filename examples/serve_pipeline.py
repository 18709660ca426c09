"""Chain several models in a serving pipeline.

ray_async serve run examples.serve_pipeline:app

curl -X POST http://localhost:8000 -H "Content-Type: application/json" -d '{"text": "  Ray Serve is EXCELLENT!  "}'
"""
# mypy: ignore-errors
# The program is as its users write it: without types.

from starlette.requests import Request

from ray_async import serve


@serve.deployment
class Preprocessor:
    def preprocess(self, text: str) -> str:
        return text.strip().lower()


@serve.deployment
class Classifier:
    def __init__(self):
        from transformers import pipeline

        self.pipe = pipeline("sentiment-analysis")

    def classify(self, text: str) -> dict:
        return self.pipe(text)[0]


@serve.deployment
class Pipeline:
    def __init__(self, preprocessor, classifier):
        self.preprocessor = preprocessor
        self.classifier = classifier

    async def __call__(self, request: Request) -> dict:
        body = await request.json()
        clean_text = await self.preprocessor.preprocess.remote(body["text"])
        result = await self.classifier.classify.remote(clean_text)
        return result


preprocessor = Preprocessor.bind()
classifier = Classifier.bind()
app = Pipeline.bind(preprocessor, classifier)
