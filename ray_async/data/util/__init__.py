"""Ray's import paths of what else programs import from there."""
