"""Ray's import paths of its insides, as far as programs name them."""
