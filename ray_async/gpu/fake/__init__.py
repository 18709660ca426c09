"""Devices in shared host memory, with the interface of real ones and their dangers.

Kernels take effect only when their stream comes to them; streams can be held; addresses are used again; memory of a
process that has ended is gone; calls are counted, and can be made to fail. `use` says what devices there are, to this
process and to those that it starts; `array` and `zeros` make arrays.
"""

from ray_async.gpu.fake.array import FakeArray, array, empty, zeros
from ray_async.gpu.fake.machine import FakeDeviceError, FakeOutOfMemoryError, counts, reset_counts, use
from ray_async.gpu.fake.machine import visible_devices as devices
from ray_async.gpu.fake.memory import FakePool
from ray_async.gpu.fake.streams import Stream, current_stream

__all__ = (
    "FakeArray",
    "FakeDeviceError",
    "FakeOutOfMemoryError",
    "FakePool",
    "Stream",
    "array",
    "counts",
    "current_stream",
    "devices",
    "empty",
    "reset_counts",
    "use",
    "zeros",
)
