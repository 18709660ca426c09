"""Names of tasks: of the functions that records run, and those that callers gave."""

from __future__ import annotations

from ray_async._core.record_view import RecordView

__all__ = ("TaskNames",)


class TaskNames:
    """Reads the names of records.

    Args:
        records: view of the arena's records.
    """

    def __init__(self, records: RecordView) -> None:
        self._records = records

    def name_of(self, record: int) -> str:
        """Name of a task: the one that its caller gave it, or its function's."""
        name = self._records.plain_options(record).get("name")
        return name if isinstance(name, str) else self.function_of(record)

    def function_of(self, record: int) -> str:
        """Name of the function that a record runs."""
        data = self._records.function_of(record)
        # The export is a pickled dict that a process of this session wrote. The node unpickles nothing: it looks for
        # the text.
        return export_name(data) if data else "unknown"


def export_name(data: bytes) -> str:
    """The name in an export, which begins with its length and its text."""
    head, _, _ = data.partition(b"\n")
    return head.decode("utf-8", "replace")
