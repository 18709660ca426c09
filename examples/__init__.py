"""Programs to run and to read; the tests import their pure parts."""
