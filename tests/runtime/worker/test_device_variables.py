from ray_async.config import Settings
from ray_async.runtime.worker.device_variables import DeviceVariables


def entered(environ: dict[str, str], resources: dict[str, float], gpus: list[str], **settings: bool) -> dict[str, str]:
    DeviceVariables(Settings(settings, environ={}), environ).enter(resources, {"GPU": gpus})
    return environ


def test_threads_follow_the_cpus() -> None:
    environ: dict[str, str] = {}
    lease = DeviceVariables(Settings({}, environ={}), environ)
    for cpus, threads in ((2.0, "2"), (0.25, "1"), (1.0, "1"), (0.0, "1")):
        lease.enter({"CPU": cpus}, {})
        assert environ == {"OMP_NUM_THREADS": threads}


def test_a_chosen_number_of_threads_stays() -> None:
    assert entered({"OMP_NUM_THREADS": "7"}, {"CPU": 2}, []) == {"OMP_NUM_THREADS": "7"}


def test_devices() -> None:
    assert entered({}, {"GPU": 2}, ["1", "3"])["CUDA_VISIBLE_DEVICES"] == "1,3"
    assert "CUDA_VISIBLE_DEVICES" not in entered({}, {"CPU": 1}, [])
    assert entered({}, {"CPU": 1}, [], accel_env_var_override_on_zero=True)["CUDA_VISIBLE_DEVICES"] == ""
    kept = entered({"CUDA_VISIBLE_DEVICES": "5"}, {"GPU": 1}, ["0"], experimental_noset_cuda_visible_devices=True)
    assert kept["CUDA_VISIBLE_DEVICES"] == "5"


def test_devices_are_called_as_the_node_sees_them() -> None:
    lease = DeviceVariables(Settings({}, environ={}), {}, visible="4, uuid-5,6")
    assert lease.names("GPU", [0, 1]) == ["4", "uuid-5"]
    assert lease.names("GPU", [3]) == ["3"]
    assert DeviceVariables(Settings({}, environ={}), {}).names("GPU", [0, 2]) == ["0", "2"]
    assert lease.names("NPU", [0]) == ["0"]


def test_other_devices_are_seen_while_they_are_held() -> None:
    environ = {"NEURON_RT_VISIBLE_CORES": "0-7"}
    lease = DeviceVariables(Settings({}, environ={}), environ)
    lease.enter({"neuron_cores": 2}, {"neuron_cores": ["0", "2"]})
    assert environ["NEURON_RT_VISIBLE_CORES"] == "0,2"
    assert "CUDA_VISIBLE_DEVICES" not in environ
    lease.enter({"TPU": 1}, {"TPU": ["3"]})
    assert (environ["TPU_VISIBLE_CHIPS"], environ["NEURON_RT_VISIBLE_CORES"]) == ("3", "0-7")
    lease.enter({"CPU": 1}, {})
    assert "TPU_VISIBLE_CHIPS" not in environ
