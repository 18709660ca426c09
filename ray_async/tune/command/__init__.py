"""Command: ``ray_async tune``, which looks at experiments that have ended or run."""
