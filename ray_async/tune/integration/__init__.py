"""Integration: callbacks that report from inside of other libraries' training."""
