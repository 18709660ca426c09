"""Telemetry: what a process tells of its requests, by access lines, metrics and spans.

`telemetry` is what requests and calls end in; behind it are `access_log`, `counts` and `spans`, each there only where
it is switched on. Numbers lie in mapped files in Serve's folder (`cells`), which outlive their process: `folding` adds
up what ended processes have left, and `exposition` makes one page of all.
"""
