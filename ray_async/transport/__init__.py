"""Transport between the processes of a session off the hot path: JSON frames over Unix sockets.

`frames` is the format, `channel` a blocking client's end, `server` the node's end on its event loop. Nothing that comes
in is unpickled: a peer can at most send JSON.
"""
