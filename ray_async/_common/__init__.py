"""A namespace, empty: kept for programs that import Ray's private helpers by name, as `ray._common.NAME`."""
