from typing import Any

import pytest

from ray_async.autoscaler.sdk import request_resources
from ray_async.cluster_utils import AutoscalingCluster
from ray_async.dashboard.utils import ray_address_to_api_server_url


def test_requests_are_checked_and_have_no_effect(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "ray_async"):
        request_resources(num_cpus=4, bundles=[{"CPU": 1}], bundle_label_selectors=[{"zone": "in(a, b)"}])
    assert "one machine" in caplog.text


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"num_cpus": 1.5}, TypeError),
        ({"bundles": {"CPU": 1}}, TypeError),
        ({"bundles": [("CPU", 1)]}, TypeError),
        ({"bundles": [{"CPU": "1"}]}, TypeError),
        ({"bundle_label_selectors": [{}]}, ValueError),
        ({"bundles": [{}, {}], "bundle_label_selectors": [{}]}, ValueError),
        ({"bundles": [{}], "bundle_label_selectors": [{"zone": "in(a"}]}, ValueError),
    ],
)
def test_bad_requests_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        request_resources(**options)


def test_there_is_no_cluster_that_grows() -> None:
    with pytest.raises(NotImplementedError, match="add_node"):
        AutoscalingCluster({"CPU": 1}, {})


def test_a_node_that_is_not_there_has_no_dashboard() -> None:
    with pytest.raises(ConnectionError, match="no node runs at"):
        ray_address_to_api_server_url("127.0.0.1:1")
