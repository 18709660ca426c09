"""The backend, under the name that programs written for Ray import."""

from ray_async.util.joblib.backend import RayBackend

__all__ = ("RayBackend",)
