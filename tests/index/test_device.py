import faiss
import numpy as np
import pytest

from index.device import MAX_GPU_K, GpuCopy
from index.errors import DeviceError, QueryError
from index.flat import nearest_on_cpu, search
from tests.index.conftest import Opener
from tests.index.samples import Filled

D = 16
GPUS = faiss.get_num_gpus()


def test_cpu_is_always_there(open_index: Opener) -> None:
    assert open_index(device="cpu").stats()["device"] == "cpu"


def test_auto_takes_what_is_there_and_says_so(open_index: Opener) -> None:
    assert open_index(device="auto").stats()["device"] == ("cuda" if GPUS else "cpu")


def test_cuda_is_an_error_without_a_gpu_never_a_silent_fall_back(open_index: Opener) -> None:
    if GPUS:
        assert open_index(device="cuda").stats()["device"] == "cuda"
    else:
        with pytest.raises(DeviceError, match="device cuda was asked for, but"):
            open_index(device="cuda")


def test_another_device_is_refused(open_index: Opener) -> None:
    with pytest.raises(QueryError, match="device must be one of auto, cpu, cuda, not 'tpu'"):
        open_index(device="tpu")


def test_a_copy_follows_every_view_and_gives_the_same_hits() -> None:
    # A real FAISS index that stays on the CPU: what is tested is which rows the copy has.
    copy, on_cpu = GpuCopy(lambda index: index, nearest_on_cpu(1)), nearest_on_cpu(1)
    rng = np.random.default_rng(0)
    queries = rng.standard_normal((3, D)).astype(np.float32)
    vectors = Filled(D)
    epochs = set()
    for step in range(12):
        ids = [f"{n:04d}" for n in rng.choice(900, 600, replace=False)]
        older = vectors.vectors.view
        view = vectors.add(ids, rng.standard_normal((600, D)).astype(np.float32))
        epochs.add(view.epoch)
        for seen in (view, older):
            assert search(seen, queries, 25, copy) == search(seen, queries, 25, on_cpu), step
            few = seen.only(seen.numbers[::9])
            assert search(few, queries, 25, copy) == search(few, queries, 25, on_cpu), step
    assert len(epochs) > 1, "no compaction was seen"


def test_more_candidates_than_a_gpu_selects_are_found_on_the_cpu() -> None:
    copy = GpuCopy(lambda index: index, nearest_on_cpu(1))
    rng = np.random.default_rng(1)
    vectors = Filled(D)
    count = MAX_GPU_K + 500
    view = vectors.add(
        [f"{n:05d}" for n in range(count)], rng.standard_normal((count, D)).astype("f4")
    )
    (found,) = search(view, rng.standard_normal((1, D)).astype(np.float32), count, copy)
    assert sorted(id_ for _, id_ in found) == [f"{n:05d}" for n in range(count)]


def test_a_device_that_fails_is_an_error_in_words_and_is_tried_again() -> None:
    failing = [True]

    def to_gpu(index: faiss.Index) -> faiss.Index:
        if failing[0]:
            raise RuntimeError("out of memory")
        return index

    copy = GpuCopy(to_gpu, nearest_on_cpu(1))
    vectors = Filled(D)
    view = vectors.add(["a"], np.ones((1, D), np.float32))
    query = np.ones((1, D), np.float32)
    for _ in range(2):
        with pytest.raises(DeviceError, match="the GPU can't search 1 vectors: out of memory"):
            search(view, query, 1, copy)
    failing[0] = False
    assert search(view, query, 1, copy) == [[(D, "a")]]
