"""The least that each kind of work costs on this machine: compiled on first use, measured beside everything else.

`pingpong.c` and `copying.c` are plain C behind ctypes, `bare_queue.pyx` is the least Cython that makes a call in
another process. `build` compiles them into a directory that keeps itself out of git.
"""
