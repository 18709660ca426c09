"""A worker process: takes leases, runs tasks one at a time, or hosts one actor, or runs async tasks on a loop.

`process` is the main loop, `definitions` what exported functions become, `hosts` run what does not fit
one-at-a-time, `failure` turns exceptions into stored errors.
"""
