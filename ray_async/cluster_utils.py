"""A cluster on one machine, by the import path that programs use; at home in `local_cluster`."""

from ray_async.local_cluster.cluster import AutoscalingCluster, Cluster, ClusterNode, cluster_not_supported

__all__ = ("AutoscalingCluster", "Cluster", "ClusterNode", "cluster_not_supported")
