"""Names that programs of Ray import from here: loggers of other libraries."""
