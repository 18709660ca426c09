"""Backend: what a library needs on all workers before and after a training function runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ("Backend", "BackendConfig")


class Backend:
    """Sets workers up for a library; this one sets up nothing."""

    def on_start(self, worker_group: Any, backend_config: BackendConfig) -> None:
        """The workers are there.

        Args:
            worker_group: The workers.
            backend_config: The settings.
        """

    def on_training_start(self, worker_group: Any, backend_config: BackendConfig) -> None:
        """The training function is about to start.

        Args:
            worker_group: The workers.
            backend_config: The settings.
        """

    def on_shutdown(self, worker_group: Any, backend_config: BackendConfig) -> None:
        """The training function has ended everywhere.

        Args:
            worker_group: The workers.
            backend_config: The settings.
        """


@dataclass
class BackendConfig:
    """Settings of a backend; subclasses name theirs in `backend_cls`."""

    @property
    def backend_cls(self) -> type[Backend]:
        """The class of the backend."""
        return Backend
