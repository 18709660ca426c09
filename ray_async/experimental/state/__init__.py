"""The state API under the name that it had first; see `ray_async.util.state`."""
