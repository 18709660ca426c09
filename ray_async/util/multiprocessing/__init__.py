"""`Pool` of the standard library's `multiprocessing`, over actors."""

from multiprocessing import JoinableQueue, TimeoutError

from ray_async.util.multiprocessing.pool import Pool
from ray_async.util.multiprocessing.results import AsyncResult, IMapIterator

__all__ = ("AsyncResult", "IMapIterator", "JoinableQueue", "Pool", "TimeoutError")
