"""Asking for machines: there is one, so that requests are checked and have no effect."""
