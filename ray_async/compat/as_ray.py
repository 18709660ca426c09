"""Importing this module makes ``import ray`` mean this package: put it above all that imports `ray`."""

from ray_async.compat.alias import install

install()
