"""Pieces of work side by side on the threads of a CPU."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from napari_unet.network.threads import Workers, count_threads, limit_threads


@pytest.fixture(autouse=True)
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("threads", "pieces", "count", "each"), [(4, 2, 2, 2), (4, 9, 4, 1), (5, 2, 2, 2), (3, 0, 1, 3)]
)
def test_workers_share_the_threads(threads: int, pieces: int, count: int, each: int) -> None:
    with Workers(threads, pieces) as workers:
        assert (workers.count, workers.threads_each) == (count, each)
        found = [workers.submit(torch.get_num_threads) for _ in range(6)]
        assert {future.result() for future in found} == {each}
    assert torch.get_num_threads() == 4
    assert _in_new_thread() == 4


def test_workers_compute_at_the_same_time() -> None:
    with Workers(2, 2) as workers:
        meeting = threading.Barrier(2, timeout=30)  # where one waited for the other, it would break
        futures = [workers.submit(meeting.wait) for _ in range(2)]
        assert sorted(future.result() for future in futures) == [0, 1]


def test_a_single_worker_is_the_caller_and_its_errors_wait_for_the_result() -> None:
    with Workers(4, 1) as workers:
        assert workers.submit(threading.current_thread).result() is threading.current_thread()
        failed = workers.submit(lambda: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            failed.result()


def test_closing_ends_the_threads() -> None:
    before = threading.active_count()
    workers = Workers(2, 2)
    workers.submit(int).result()
    assert threading.active_count() > before
    workers.close()
    assert threading.active_count() == before
    assert workers.submit(int, "7").result() == 7  # they begin anew
    workers.close()


def test_other_threads_of_the_process_keep_their_number() -> None:
    with limit_threads(1):
        assert torch.get_num_threads() == 1
        assert _in_new_thread() == 4
    with pytest.raises(RuntimeError), limit_threads(1):
        raise RuntimeError
    assert torch.get_num_threads() == 4


def test_many_threads_that_limit_themselves_leave_the_default() -> None:
    def limit(count: int) -> None:
        for _ in range(20):
            with limit_threads(count):
                assert torch.get_num_threads() == count

    threads = [threading.Thread(target=limit, args=(count,)) for count in (1, 2, 3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert _in_new_thread() == 4


def test_without_openmp_the_caller_computes_with_all_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.backends.openmp, "is_available", lambda: False)
    with Workers(4, 4) as workers:
        assert workers.count == 1
        assert workers.submit(torch.get_num_threads).result() == 4
    with limit_threads(1):
        assert torch.get_num_threads() == 4


def test_auto_is_what_there_is() -> None:
    assert (count_threads("auto"), count_threads(3)) == (4, 3)


def _in_new_thread() -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]
