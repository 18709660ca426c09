"""Loggers: callbacks that write what trials report."""
