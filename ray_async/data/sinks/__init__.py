"""Sinks: where rows go. `base` says what one is; `files` writes folders of files, whichever their format.

Workers write what nobody sees yet; once all is written, the driver publishes it. A writer that dies, raises or is run
again leaves neither a half file nor a double.
"""
