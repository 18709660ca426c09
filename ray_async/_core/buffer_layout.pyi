"""Places of a payload's buffers."""

class BufferLayout:
    def __reduce__(self) -> tuple[object, ...]: ...
