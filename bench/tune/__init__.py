"""Benchmarks of Tune: searches of ray_async beside Optuna in one process, joblib over the same objective, and Ray."""
