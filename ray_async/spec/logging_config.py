"""Logging of driver and workers, as programs configure it."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ("LoggingConfig",)

_ENCODINGS = ("TEXT", "JSON")


class LoggingConfig:
    """The format of log records in driver and workers.

    Args:
        encoding: "TEXT" or "JSON".
        log_level: Name of the least level that is shown.
        additional_log_standard_attrs: Names of ``logging.LogRecord`` attributes to add.

    Raises:
        ValueError: An unknown encoding, level or attribute.

    Example:
        >>> ray.init(logging_config=LoggingConfig(encoding="JSON", log_level="INFO"))
    """

    __slots__ = ("additional_log_standard_attrs", "encoding", "log_level")

    def __init__(
        self,
        encoding: str = "TEXT",
        log_level: str = "INFO",
        additional_log_standard_attrs: Sequence[str] = (),
    ) -> None:
        import logging  # not paid for by programs that do not use this class

        if encoding not in _ENCODINGS:
            raise ValueError(f"Invalid encoding type: {encoding}. Valid encoding types are: {list(_ENCODINGS)}")
        if str(log_level).upper() not in logging.getLevelNamesMapping():
            raise ValueError(f"Invalid log level: {log_level!r}. Use a name such as 'INFO'.")
        standard = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}
        unknown = [name for name in additional_log_standard_attrs if name not in standard]
        if unknown:
            raise ValueError(f"Unknown log attributes: {unknown}. Known ones are: {sorted(standard)}")
        self.encoding = encoding
        self.log_level = log_level
        self.additional_log_standard_attrs = list(additional_log_standard_attrs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LoggingConfig) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[str, str, tuple[str, ...]]:
        return self.encoding, self.log_level, tuple(self.additional_log_standard_attrs)

    def __repr__(self) -> str:
        return (
            f"LoggingConfig(encoding={self.encoding!r}, log_level={self.log_level!r}, "
            f"additional_log_standard_attrs={self.additional_log_standard_attrs!r})"
        )
