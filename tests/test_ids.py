from __future__ import annotations

import copy
import os
import pickle

import pytest

from ray_async.ids import (
    ActorClassID,
    ActorID,
    BaseID,
    ClusterID,
    FunctionID,
    JobID,
    NodeID,
    PlacementGroupID,
    TaskID,
    UniqueID,
    WorkerID,
)

SIZES = {
    JobID: 4,
    ActorID: 16,
    TaskID: 24,
    PlacementGroupID: 18,
    UniqueID: 28,
    NodeID: 28,
    WorkerID: 28,
    FunctionID: 28,
    ActorClassID: 28,
    ClusterID: 28,
}


@pytest.mark.parametrize(("cls", "size"), SIZES.items(), ids=lambda value: getattr(value, "__name__", None))
def test_every_kind(cls: type[BaseID], size: int) -> None:
    data = os.urandom(size)
    one = cls(data)
    assert one.binary() == bytes(one) == data
    assert one == cls.from_binary(data) == cls.from_hex(data.hex()) == copy.deepcopy(one)
    assert pickle.loads(pickle.dumps(one)) == one
    assert hash(one) == hash(cls(data))
    assert one.hex() == data.hex()
    assert repr(one) == str(one) == f"{cls.__name__}({data.hex()})"
    assert cls.size() == one.size() == size
    assert cls.nil().binary() == b"\xff" * size
    assert cls.nil().is_nil() and not cls(bytes(size)).is_nil()
    assert cls.from_random() != cls.from_random()
    for wrong in (b"", data + b"x", data[1:]):
        with pytest.raises(ValueError, match=f"{cls.__name__} has {size} bytes"):
            cls(wrong)
    with pytest.raises(ValueError, match="hex"):
        cls.from_hex("zz" * size)
    with pytest.raises(TypeError, match="bytes"):
        cls(data.hex())  # type: ignore[arg-type]


def test_ids_of_other_kinds_differ() -> None:
    data = bytes(28)
    assert NodeID(data) != WorkerID(data)
    assert len({NodeID(data), WorkerID(data), NodeID(data)}) == 2


def test_ids_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        JobID.from_int(1)._binary = b"abcd"


def test_job_numbers() -> None:
    assert JobID.from_int(1).hex() == "01000000"
    assert JobID.from_int(2**32 - 1).int() == 2**32 - 1
    for wrong in (-1, 2**32):
        with pytest.raises(ValueError, match="job number"):
            JobID.from_int(wrong)


def test_ids_contain_their_owners() -> None:
    job = JobID.from_int(7)
    actor = ActorID.of(job)
    assert actor.job_id == job
    call = TaskID.of(job, actor)
    assert (call.actor_id(), call.job_id()) == (actor, job)
    task = TaskID.of(job)
    assert task.job_id() == job
    assert task.actor_id().binary().startswith(b"\xff" * 12)
    assert TaskID.of(job) != task
    assert PlacementGroupID.of(job).binary().endswith(job.binary())
