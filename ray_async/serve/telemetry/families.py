"""The families of Serve's metrics: their names, which are Ray's, what they mean, and their labels."""

from __future__ import annotations

from ray_async.serve.frozen_dataclass import dataclass

__all__ = ("FAMILIES", "LATENCIES", "PERCENTAGES", "SIZES", "Family")

#: Upper ends of the buckets of latencies, in milliseconds.
LATENCIES = (1, 2, 5, 10, 20, 50, 100, 200, 300, 400, 500, 1000, 2000, 5000, 10_000, 60_000, 120_000, 300_000, 600_000)

#: Upper ends of the buckets of batch sizes.
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

#: Upper ends of the buckets of shares.
PERCENTAGES = (5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99, 100)

_REPLICA = ("application", "deployment", "replica")


@dataclass(frozen=True)
class Family:
    """Series of one name.

    Args:
        name: The name, without ``ray_`` before it and ``_total`` behind it.
        kind: "counter", "gauge" or "histogram".
        text: What it means.
        labels: The names of its labels.
        buckets: Upper ends of a histogram's buckets.
        holds_s: Seconds for which a gauge's number holds unless it is written again: those that write it may have ended
            without a word, as loops do. 0: any time.
        is_status: Whether 0 stands for what does not exist, and has no series.
    """

    name: str
    kind: str
    text: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...] = ()
    holds_s: float = 0
    is_status: bool = False

    @property
    def cells(self) -> int:
        """How many numbers a series has: one, or one for each bucket, one for what is larger, and the sum.

        One that holds for a time is followed by the time at which it was written.
        """
        return len(self.buckets) + 2 if self.kind == "histogram" else 2 if self.holds_s else 1


_OF_BATCHES = (*_REPLICA, "function_name")
_DEPLOYMENT = ("application", "deployment")
_GRPC = ("application", "method", "status_code")
_HTTP = ("application", "route", "method", "status_code")

FAMILIES = {
    family.name: family
    for family in (
        Family("serve_num_http_requests", "counter", "HTTP requests that were answered.", _HTTP),
        Family(
            "serve_num_http_error_requests",
            "counter",
            "HTTP requests that were answered by an error.",
            (*_HTTP, "error_code"),
        ),
        Family("serve_http_request_latency_ms", "histogram", "Latencies of HTTP requests.", _HTTP, LATENCIES),
        Family("serve_num_ongoing_http_requests", "gauge", "HTTP requests that are not answered yet.", ()),
        Family("serve_num_grpc_requests", "counter", "Calls by gRPC that have ended.", _GRPC),
        Family(
            "serve_num_grpc_error_requests",
            "counter",
            "Calls by gRPC that have ended by an error.",
            (*_GRPC, "error_code"),
        ),
        Family("serve_grpc_request_latency_ms", "histogram", "Latencies of calls by gRPC.", _GRPC, LATENCIES),
        Family("serve_autoscaling_target_replicas", "gauge", "Replicas that there shall be.", _DEPLOYMENT),
        Family("serve_autoscaling_desired_replicas", "gauge", "Replicas that the policy asked for last.", _DEPLOYMENT),
        Family("serve_autoscaling_total_requests", "gauge", "Requests that the policy was told of last.", _DEPLOYMENT),
        Family("serve_autoscaling_policy_execution_time_ms", "gauge", "How long the policy ran last.", _DEPLOYMENT),
        Family("serve_deployment_request_counter", "counter", "Requests that a replica has run.", (*_REPLICA, "route")),
        Family("serve_deployment_error_counter", "counter", "Requests that failed in a replica.", (*_REPLICA, "route")),
        Family(
            "serve_deployment_processing_latency_ms",
            "histogram",
            "How long replicas have worked on requests.",
            (*_REPLICA, "route"),
            LATENCIES,
        ),
        Family(
            "serve_application_status",
            "gauge",
            "1 failed to deploy, 2 unhealthy, 4 deleting, 5 deploying, 6 running.",
            ("application",),
            is_status=True,
        ),
        Family(
            "serve_deployment_status",
            "gauge",
            "1 failed to deploy, 2 unhealthy, 3 updating, 6 healthy.",
            _DEPLOYMENT,
            is_status=True,
        ),
        Family(
            "serve_proxy_status",
            "gauge",
            "2 where HTTP is served.",
            ("node_id", "node_ip_address"),
            is_status=True,
        ),
        Family("serve_controller_control_loop_duration_s", "gauge", "How long the controller looked last.", ()),
        Family("serve_controller_num_control_loops", "gauge", "How often the controller has looked.", ()),
        Family("serve_health_check_latency_ms", "histogram", "How long health checks took.", _DEPLOYMENT, LATENCIES),
        Family("serve_health_check_failures", "counter", "Health checks that have failed.", _REPLICA),
        Family("serve_deployment_replica_starts", "counter", "Starts of replicas.", ("application", "deployment")),
        Family("serve_deployment_replica_healthy", "gauge", "Whether a replica takes requests.", _REPLICA),
        Family("serve_replica_processing_queries", "gauge", "Requests that a replica works on.", _REPLICA),
        Family(
            "serve_deployment_queued_queries",
            "gauge",
            "Requests that wait for a replica.",
            ("application", "deployment"),
            holds_s=2,
        ),
        Family("serve_num_router_requests", "counter", "Requests that were routed.", ("application", "deployment")),
        Family(
            "serve_handle_request_counter",
            "counter",
            "Calls by handle.",
            ("application", "deployment", "route"),
        ),
        Family("serve_batch_queue_length", "gauge", "Items that wait for a batch.", _OF_BATCHES),
        Family(
            "serve_batch_utilization_percent",
            "histogram",
            "Sizes of batches, of the largest.",
            _OF_BATCHES,
            PERCENTAGES,
        ),
        Family("serve_batches_processed", "counter", "Batches that were run.", _OF_BATCHES),
        Family("serve_actual_batch_size", "histogram", "Items of batches.", _OF_BATCHES, SIZES),
        Family(
            "serve_batch_wait_time_ms",
            "histogram",
            "How long batches waited from their first item.",
            _OF_BATCHES,
            LATENCIES,
        ),
        Family("serve_batch_execution_time_ms", "histogram", "How long batch functions ran.", _OF_BATCHES, LATENCIES),
        Family("serve_multiplexed_models_load_counter", "counter", "Models that were loaded.", _REPLICA),
        Family("serve_multiplexed_models_unload_counter", "counter", "Models that were unloaded.", _REPLICA),
        Family("serve_num_multiplexed_models", "gauge", "Models that a replica has.", _REPLICA),
        Family(
            "serve_registered_multiplexed_model_id", "gauge", "That a replica has a model.", (*_REPLICA, "model_id")
        ),
    )
}
