"""Names that programs of Ray import from here: nests, and the wait for a GPU."""

from ray_async.tune.gpu_wait import wait_for_gpu
from ray_async.tune.nesting import (
    deep_update,
    flatten_dict,
    merge_dicts,
    unflatten_dict,
    unflatten_list_dict,
    unflattened_lookup,
)
from ray_async.tune.save_restore_check import validate_save_restore

__all__ = (
    "deep_update",
    "flatten_dict",
    "merge_dicts",
    "unflatten_dict",
    "unflatten_list_dict",
    "unflattened_lookup",
    "validate_save_restore",
    "wait_for_gpu",
)
