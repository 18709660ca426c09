"""What happens on the node: scheduling, workers, limits and recovery."""
