"""A place of Ray's, for modules that programs written for Ray put below it; nothing is here."""
