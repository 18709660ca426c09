"""Requests to the autoscaler."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from ray_async.spec.label_selector import label_selector_error

__all__ = ("request_resources",)

_logger = logging.getLogger("ray_async")


def request_resources(
    num_cpus: int | None = None,
    bundles: Sequence[Mapping[str, int]] | None = None,
    bundle_label_selectors: Sequence[Mapping[str, str]] | None = None,
) -> None:
    """Ask for room; accepted for programs written for Ray. Nothing can be added to one machine, which is logged.

    Args:
        num_cpus: CPUs to have room for.
        bundles: Quantities by resource, for each of several tasks.
        bundle_label_selectors: Labels of the node for each bundle.

    Raises:
        TypeError: A number that is not whole, or bundles that are not lists of mappings.
        ValueError: Selectors without as many bundles, or bad ones.
    """
    if num_cpus is not None and not isinstance(num_cpus, int):
        raise TypeError(f"num_cpus should be of type int, but is {num_cpus!r}.")
    if bundles is not None:
        if not isinstance(bundles, list) or not all(isinstance(bundle, dict) for bundle in bundles):
            raise TypeError(f"bundles should be a list of dicts, but is {bundles!r}.")
        if not all(isinstance(key, str) and isinstance(value, int) for each in bundles for key, value in each.items()):
            raise TypeError("each bundle key should be str and value as int.")
    if bundle_label_selectors is not None:
        if bundles is None or len(bundles) != len(bundle_label_selectors):
            raise ValueError("bundle_label_selectors needs bundles, as many as there are selectors.")
        for selector in bundle_label_selectors:
            problem = label_selector_error(dict(selector))
            if problem:
                raise ValueError(f"bundle_label_selectors: {problem}")
    _logger.info("request_resources() has no effect: there is one machine.")
