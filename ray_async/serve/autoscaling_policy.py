"""Policies of autoscaling that come with Serve, and can be called by others."""

from __future__ import annotations

from ray_async.serve.autoscaling_config import AutoscalingContext, Decision

__all__ = ("default_autoscaling_policy", "replica_queue_length_autoscaling_policy")


def replica_queue_length_autoscaling_policy(context: AutoscalingContext) -> Decision:
    """Want as many replicas as give each its target number of requests.

    Example:
        >>> def at_least_three_by_day(context):
        ...     wanted, state = replica_queue_length_autoscaling_policy(context)
        ...     return (max(wanted, 3) if 8 <= time.localtime().tm_hour < 20 else wanted), state
    """
    return context.total_num_requests / context.config.target_ongoing_requests, context.policy_state


default_autoscaling_policy = replica_queue_length_autoscaling_policy
