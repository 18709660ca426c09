"""Ray's import path of what runs plans."""
