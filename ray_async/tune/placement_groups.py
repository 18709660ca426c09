"""Names that programs import from here: placement groups of trials."""

from ray_async.air.placement_groups import PlacementGroupFactory, resource_dict_to_pg_factory

__all__ = ("PlacementGroupFactory", "resource_dict_to_pg_factory")
