"""Faults that a session must survive, or must report clearly: seeded, repeatable, against real sessions."""
