"""Long runs that look for what grows: ``python -m tests.soak``. The test suite has short forms of them."""
