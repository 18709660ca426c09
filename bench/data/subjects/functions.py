"""Functions of users': images through a model, coroutines, chains."""

from bench.subject import Bar, Params, Reference, Row, Subject, Unit

__all__ = ("SUBJECT",)

CALLS, AT_ONCE, DELAY = 10_000, 500, 0.05
_IDEAL = CALLS / AT_ONCE * DELAY

# The process that works alone has imported torch before its clock starts.
_images: Params = {"images": 10_000, "preload": "torch"}
_http = {"calls": CALLS, "at_once": AT_ONCE, "delay": DELAY}
_chain = {"rows": 1_000_000, "stages": 100}

SUBJECT = Subject(
    "functions",
    "Functions",
    (
        Row(
            "10,000 images: decode, resize, a small model of torch",
            "images",
            bar=Bar(0.6, "≤ 0.6 of one process", Reference(None, "images_alone")),
            params=_images,
            quick={"images": 64, "preload": "torch"},
        ),
        Row(
            "the same: cores over cores kept busy",
            "images",
            metric="idle",
            unit=Unit.FRACTION,
            bar=Bar(1 / 0.95, "≥ 0.95 of both cores busy"),
            params=_images,
            quick={"images": 64, "preload": "torch"},
        ),
        Row(
            "10,000 HTTP calls of 50 ms, 500 at once",
            "http",
            bar=Bar(_IDEAL / 0.9, "≥ 0.9 of ideal"),
            params=_http,
            quick={"calls": 100, "at_once": 50, "delay": 0.01},
        ),
        Row(
            "100 stages of map_batches over 1 M rows",
            "chain",
            bar=Bar(1.2, "≤ 1.2x one stage of the same", Reference(None, "chain_at_once")),
            params=_chain,
            quick={"rows": 1000, "stages": 10},
        ),
    ),
)
