"""References, cancels and context in coroutines, against the real engine."""
