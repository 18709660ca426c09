"""Tests mirror the package: tests/<layer>/test_<noun>.py; what they share is in this folder's own modules."""
