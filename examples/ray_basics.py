"""Distributed functions: parallelize Python functions across CPUs and GPUs.

python -m examples.ray_basics
"""

import time

import ray_async as ray

ray.init()  # Connects to or starts a local cluster


@ray.remote
def process_item(item: int) -> int:
    time.sleep(1)  # Simulate work
    return item**2


# Run 10 tasks in parallel (takes about 10 s divided by the number of CPUs)
futures = [process_item.remote(i) for i in range(10)]
results = ray.get(futures)
print(f"Results: {results}")


# GPU tasks
@ray.remote(num_gpus=1)
def train_on_gpu(data):  # type: ignore[no-untyped-def]
    import torch

    device = torch.device("cuda")
    tensor = torch.tensor(data, device=device)
    return tensor.sum().item()


if ray.cluster_resources().get("GPU", 0) >= 1:
    print(f"Sum on the GPU: {ray.get(train_on_gpu.remote([1.0, 2.0, 3.0]))}")
else:
    print("GPU task skipped: this machine has no GPU.")
