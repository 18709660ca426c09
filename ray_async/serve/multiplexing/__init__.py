"""Multiplexing: many models on few replicas, each loaded where it is asked for.

`models` keeps what one function has loaded, `holdings` tells routers which models a replica has, and `decorator` puts
both around the user's function.
"""
