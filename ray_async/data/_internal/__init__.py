"""Ray's private import paths that tests and extensions written for it name; nothing in Data itself imports them."""
