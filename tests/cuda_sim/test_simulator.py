"""The simulator itself: the execution model against numpy, and every check against a kernel that it must catch."""

import numpy as np
import pytest

from cuda_sim.build import HERE, CudaSimError, load, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")


@pytest.fixture(scope="module")
def broken():
    return load(HERE / "kernels" / "broken.cpp")


# name, kind, the threads that may be blamed, a part of the message
FAULTS = [
    ("read_past_the_end", "out of bounds", {63}, "reads 4 bytes at element 128 of `in`, which has 128 elements"),
    ("write_before_the_start", "out of bounds", {37}, "writes 4 bytes at element -1 of `out`"),
    ("far_out", "out of bounds", {37}, "where the call has no memory"),
    ("null_pointer", "out of bounds", {37}, "null pointer"),
    ("write_to_const", "write to const", {37}, "writes element 101 of `in`"),
    ("update_const", "write to const", {37}, "updates atomically element 101 of `in`"),
    ("copy_past_the_end", "out of bounds", {37}, "reads 516 bytes across the end of element 0 of `in`"),
    ("local_index", "out of bounds", {37}, "takes element 2 of 'float [2]'"),
    ("shared_overrun", "out of bounds", {37}, "at byte 256 of shared `first`, which has 256 bytes"),
    ("dynamic_overrun", "out of bounds", {37}, "at byte 256 of shared `dynamic`, which has 256 bytes"),
    ("another_threads_local", "out of bounds", {37}, "where the call has no memory"),
    ("unwritten_shared", "uninitialised shared read", {37}, "byte 148 of shared `tile`"),
    ("another_blocks_shared", "uninitialised shared read", {37}, "not written in this block"),
    ("misaligned", "misaligned", {37}, "no multiple of 16"),
    ("race_without_barrier", "data race", {5, 37}, "byte 20 of shared `tile`"),
    ("race_of_writes", "data race", {5, 37}, "which thread"),
    ("race_in_a_warp", "data race", {36, 37}, "byte 144 of shared `tile`"),
    ("race_across_masks", "data race", {53, 37}, "with no barrier in between"),
    ("race_with_an_atomic", "data race", set(range(64)), "updates atomically"),
    ("tile_replaced_too_early", "data race", set(range(64)), "of shared `tile`"),
    ("barrier_in_a_branch", "barrier divergence", set(range(64)), "waits in __syncthreads at line"),
    ("barrier_after_exit", "barrier divergence", set(range(64)), "thread (37, 0, 0) has ended"),
    ("not_in_its_mask", "inactive lane", {37}, "not in its own mask"),
    ("lane_has_exited", "inactive lane", set(range(32, 64)), "thread (37, 0, 0) has ended"),
    ("masks_differ", "inactive lane", set(range(32, 64)), "with mask 0x0000003f"),
    ("operations_differ", "inactive lane", set(range(32, 64)), "__ballot_sync"),
    ("reads_an_absent_lane", "inactive lane", {37}, "reads lane 6, which takes no part"),
    ("barrier_against_warp", "deadlock", set(range(64)), "__syncthreads at line"),
    ("waits_forever", "deadlock", {37}, "what never comes"),
    ("index_overflow", "integer overflow", {37}, "multiplies beyond 'int'"),
]


@pytest.mark.parametrize("name,kind,threads,message", FAULTS, ids=[fault[0] for fault in FAULTS])
def test_a_fault_is_found_and_its_mended_twin_passes(broken, name, kind, threads, message):
    source = np.arange(128, dtype=np.float32)
    for seed in range(5):
        with pytest.raises(CudaSimError) as caught:
            getattr(broken, name)(source, np.zeros(128, np.float32), 128, seed=seed)
        error = caught.value
        assert error.kind == kind and error.kernel == f"{name}<mended>", error
        assert error.block == (1, 0, 0) and error.thread[0] in threads and error.thread[1:] == (0, 0), error
        assert message in error.message, error
        getattr(broken, f"{name}_mended")(source, np.zeros(128, np.float32), 128, seed=seed)


def test_a_report_names_the_source_lines_and_the_other_thread(broken):
    lines = (HERE / "kernels" / "broken.cpp").read_text().splitlines()
    with pytest.raises(CudaSimError) as caught:
        broken.race_in_a_warp(np.zeros(128, np.float32), np.zeros(128, np.float32), 128)
    error = caught.value
    assert {"(36, 0, 0)", "(37, 0, 0)"} == {f"({i}, 0, 0)" for i in (36, 37) if f"thread ({i}, 0, 0)" in str(error)}
    assert len(error.lines) == 2 and all(line in str(error) for line in error.lines)
    for line in error.lines:
        file, _, number = line.partition(":")
        assert file == "broken.cpp" and "tile[36]" in lines[int(number) - 1]


def test_a_pointer_to_the_hosts_stack_is_out_of_bounds(broken):
    with pytest.raises(CudaSimError, match="out of bounds in copy.*where the call has no memory"):
        broken.host_pointer(np.zeros(64, np.float32), np.zeros(64, np.float32), 64)


@pytest.mark.parametrize("grid_y,threads,shared", [(1, 1025, 0), (1, 0, 0), (65536, 64, 0), (0, 64, 0), (1, 64, 49153)])
def test_launches_that_a_gpu_refuses(broken, grid_y, threads, shared):
    arrays = np.zeros(64, np.float32), np.zeros(64, np.float32)
    with pytest.raises(CudaSimError) as caught:
        broken.any(*arrays, grid_y, threads, shared)
    assert caught.value.kind == "launch"


def test_more_shared_memory_is_asked_for(broken):
    arrays = np.arange(64, dtype=np.float32), np.zeros(64, np.float32)
    broken.large_shared(*arrays, 100_000)
    np.testing.assert_array_equal(*arrays)
    with pytest.raises(CudaSimError, match="launch"):
        broken.large_shared(*arrays, 228 << 10)


def test_the_binding_checks_its_arguments(broken):
    good = np.zeros(64, np.float32)
    for wrong in (good.astype(np.float64), np.zeros(128, np.float32)[::2], [0.0]):
        with pytest.raises(TypeError, match="`in` must be"):
            broken.any(wrong, good, 1, 64, 0)
    with pytest.raises(TypeError, match="takes 5 arguments, got 2"):
        broken.any(good, good)
    with pytest.raises(TypeError, match="no array `inn`"):
        broken.any(good, good, 1, 64, 0, offset_elements={"inn": 1})
    with pytest.raises(CudaSimError, match="null pointer"):
        broken.any(None, good, 1, 64, 0)


def test_after_an_error_the_next_launch_is_clean(broken):
    source, out = np.arange(128, dtype=np.float32), np.zeros(128, np.float32)
    for _ in range(50):
        with pytest.raises(CudaSimError):
            broken.barrier_after_exit(source, out, 128)
        broken.barrier_after_exit_mended(source, out, 128)
        np.testing.assert_array_equal(out, source)
