"""The controller: a detached actor that makes what runs equal to what was asked for.

Decisions are pure: `reconcile` says which replicas to start, stop and update, `autoscaling` how many there shall be.
`actor` carries them out, and is on the way of no request.
"""
