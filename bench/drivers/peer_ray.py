"""Driver of ray_async and of Ray, which run the very same code: `peer_ray.py ray_async` or `peer_ray.py ray`."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
from functools import cached_property
from typing import Any

from bench.drivers import processes, protocol, ray_calls, ray_graphs, ray_lifecycle, ray_objects

STORE_BYTES = 2 * 1024**3


class Session:
    """The library, initialised when a case first needs it.

    Args:
        module: the library's name.
        options: more options of its `init`.
    """

    def __init__(self, module: str, **options: Any) -> None:
        self.module = module
        self.options = options
        self.cpus = max(2, os.cpu_count() or 2)
        self.private_at_start = processes.private_bytes(os.getpid())

    @cached_property
    def ray(self) -> Any:
        library = importlib.import_module(self.module)
        library.init(
            address="local",
            num_cpus=self.cpus,
            object_store_memory=STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            **self.options,
        )
        return library

    def version(self) -> str:
        """The installed version; "source" for a checkout."""
        try:
            return importlib.metadata.version(self.module)
        except importlib.metadata.PackageNotFoundError:
            return "source"

    def close(self) -> None:
        if "ray" in self.__dict__:
            self.ray.shutdown()


def main(module: str) -> None:
    session = Session(module)
    parts = (ray_calls, ray_objects, ray_lifecycle, ray_graphs)
    cases = {name: case for part in parts for name, case in part.cases(session).items()}
    protocol.serve(cases, session.version(), session.close)


if __name__ == "__main__":
    main(sys.argv[1])
