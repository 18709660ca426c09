"""Choices without state: nodes for a strategy, nodes for bundles, leases to ask back."""
