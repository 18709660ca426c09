"""Journal: what happened in a search, on disk."""
