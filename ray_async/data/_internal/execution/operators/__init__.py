"""Ray's import path of operators."""
