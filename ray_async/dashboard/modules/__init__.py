"""A place of Ray's, for programs that import from it."""
