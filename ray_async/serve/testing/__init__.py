"""Suites of tests for plug-ins: a plug-in's author inherits one and names the plug-in; pytest finds the rest.

They need no session and no other package.
"""

from ray_async.serve.testing.autoscaling_policy_suite import ApplicationPolicySuite, AutoscalingPolicySuite
from ray_async.serve.testing.request_router_suite import RequestRouterSuite

__all__ = ("ApplicationPolicySuite", "AutoscalingPolicySuite", "RequestRouterSuite")
