"""One process per contender: `peer_*` are run with `-m` and speak JSON lines over stdin and stdout.

They need this folder and the library that they drive, so any interpreter can run them: what they share is of the
standard library, and nothing here imports the rest of the suite, except that `peer_floors` drives `bench.floors`.
"""
