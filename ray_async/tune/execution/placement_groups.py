"""Names that programs of Ray import from here: what trials take."""

from ray_async.tune.placement_groups import PlacementGroupFactory, resource_dict_to_pg_factory

__all__ = ("PlacementGroupFactory", "resource_dict_to_pg_factory")
