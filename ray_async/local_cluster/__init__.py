"""A cluster on one machine, for tests: logical nodes with resources, labels and workers of their own."""
