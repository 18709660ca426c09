"""Names that programs of Ray import from here: loggers of other libraries, found when they are asked for."""
