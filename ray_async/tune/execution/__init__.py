"""Execution: the state of a search, the loop around it, and the runners that run its trials."""
