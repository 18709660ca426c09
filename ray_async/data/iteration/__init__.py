"""Iteration over datasets: `iterator` has the methods, `batching` makes batches of tables, `tensors` torch tensors."""
