"""Arrays on GPUs, handed from process to process without a copy.

The pickler meets a device array and asks `agent` for a hand-over: `exports` keeps the memory until nobody refers to it,
`points` says when it has been written, and a descriptor of plain numbers goes into the pickle. Where it arrives
`imports` opens the allocation once, the stream waits for the point, and a view comes back. `backend` is what a device
library must do; `fake` does it in shared host memory. Nothing here is imported before the first device
array.
"""
