"""A place of Ray's, for modules that programs written for Ray import or put below it."""
