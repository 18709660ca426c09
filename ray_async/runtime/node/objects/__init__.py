"""Objects as the node looks after them: on disk when the store is full (`spilling`, `spill_files`), copies on nodes."""
