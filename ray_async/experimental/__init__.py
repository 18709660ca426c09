"""Interfaces that may still change."""

from ray_async.experimental.locations import get_local_object_locations, get_object_locations

__all__ = ("get_local_object_locations", "get_object_locations")
