"""Serialization: what the core's pickler does with values that it cannot store as they are.

`pickling` has the pickler's own types and explains how a value failed, `registry` what users registered for their
types, `reducers` how values of known libraries keep their memory out of band.
"""
