"""Batching: calls with one item each are run as one call with lists.

`forming` decides which items make a batch and when, and knows neither a clock nor a loop; `batcher` runs what it gives;
`decorator` puts both around the user's function.
"""

from ray_async.serve.batching.decorator import batch

# Under the name by which programs written for Ray look for it.
from ray_async.serve.batching.running import RunningBatches as _RuntimeSummaryStatistics

__all__ = ("_RuntimeSummaryStatistics", "batch")
