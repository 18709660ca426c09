"""What a driver tells of its job."""

from ray_async.job_config import JobConfig
from ray_async.runtime.driver import job_config
from ray_async.runtime.init_options import InitOptions


def test_a_jobs_settings_reach_its_workers() -> None:
    given = JobConfig(ray_namespace="n", default_actor_lifetime="detached")
    job = job_config(InitOptions(job_config=given, logging_level="debug"), 7)
    assert (job["id"], job["namespace"], job["default_actor_lifetime"]) == (7, "n", "detached")
    assert job["logging"] == {"level": 10}


def test_workers_of_a_plain_job_set_up_no_loggers() -> None:
    job = job_config(InitOptions(), 1)
    assert (job["default_actor_lifetime"], job["logging"]) == ("non_detached", {})
