"""Names of written files."""

from __future__ import annotations

__all__ = ("FilenameProvider",)


class FilenameProvider:
    """The base class of objects that name files. A name must tell apart writes, tasks and blocks."""

    def get_filename_for_task(self, write_uuid: str, task_index: int) -> str:
        """The name of the file of one call, without the ending.

        Args:
            write_uuid: the same for all files of one write.
            task_index: which call, in the order of the rows.
        """
        return f"{write_uuid}_{task_index:06d}"

    def get_filename_for_row(
        self, row: dict[str, object], write_uuid: str, task_index: int, block_index: int, row_index: int
    ) -> str:
        """The name of the file of one row, for formats with a file for each row, without the ending."""
        return f"{self.get_filename_for_task(write_uuid, task_index)}_{row_index:06d}"
