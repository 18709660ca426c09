"""Datasets that are computed: their blocks lie in the store, or in the driver's memory until a worker needs them."""

from __future__ import annotations

from ray_async.data.dataset.dataset import Dataset
from ray_async.data.plan import nodes

__all__ = ("MaterializedDataset",)


class MaterializedDataset(Dataset):
    """A dataset whose rows exist; what is kept of them goes with its last reference."""

    def num_blocks(self) -> int:
        """The number of blocks."""
        assert isinstance(self._node, nodes.Blocks)
        return len(self._node.bundles)

    def size_bytes(self) -> int:
        """Bytes of all rows in memory."""
        assert isinstance(self._node, nodes.Blocks)
        return sum(bundle.bytes for bundle in self._node.bundles)
