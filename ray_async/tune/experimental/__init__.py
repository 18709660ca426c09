"""Names that programs of Ray import from here."""
