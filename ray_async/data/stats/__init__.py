"""Statistics of runs, as text."""
