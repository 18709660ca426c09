"""Programs and libraries that say ``import ray``, run on this package without a change.

`ray_async.compat.as_ray`, once imported, makes ``import ray`` mean this package in the process and in its workers;
``python -m ray_async.compat PROGRAM`` does so for a whole program. Nothing of it happens unless it is asked for.
"""

from ray_async.compat.alias import install, is_installed, uninstall

__all__ = ("install", "is_installed", "uninstall")
