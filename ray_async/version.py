"""The package's version, and that of the API which it follows."""

from __future__ import annotations

__all__ = ("RAY_VERSION", "__commit__", "__version__")

__version__ = "0.1.0"
__commit__ = "unknown"
RAY_VERSION = "2.60.0"
"""The version of Ray whose public API this package has."""
