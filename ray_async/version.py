"""The package's version."""

from __future__ import annotations

__all__ = ("__commit__", "__version__")

__version__ = "0.1.0"
__commit__ = "unknown"
