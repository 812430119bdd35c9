import threading

import numpy as np
import pytest

from gpugraph import parallel


@pytest.fixture(params=[1, 2, 5])
def cores(request, monkeypatch):
    monkeypatch.setattr(parallel, "n_cores", lambda: request.param)
    parallel._pool.cache_clear()
    yield request.param
    parallel._pool.cache_clear()


def test_every_part_is_done_once(cores):
    counts = np.zeros(20, int)

    def add(part):
        counts[part] += 1

    parallel.for_each(add, [slice(i, i + 3) for i in range(0, 20, 3)])
    assert (counts == 1).all()


def test_parts_within_parts_do_not_wait_for_each_other(cores):
    done = []
    parallel.for_each(
        lambda i: parallel.for_each(done.append, [(i, j) for j in range(4)]), range(6)
    )
    assert sorted(done) == [(i, j) for i in range(6) for j in range(4)]


def test_errors_come_through(cores):
    def fail(part):
        raise ValueError(f"part {part}")

    with pytest.raises(ValueError, match="part 0"):
        parallel.for_each(fail, [0, 1])


def test_one_part_stays_on_its_thread(cores):
    threads = []
    parallel.for_each(lambda _: threads.append(threading.current_thread()), [0])
    assert threads == [threading.current_thread()]


def test_there_is_a_core():
    assert parallel.n_cores() >= 1


def test_what_numpy_may_warn_of_is_as_around_it(cores):
    def subtract(part):
        np.subtract(np.full(2, np.inf), np.inf)

    with np.errstate(invalid="ignore"):
        parallel.for_each(subtract, [0, 1, 2])
    with np.errstate(invalid="raise"), pytest.raises(FloatingPointError, match="invalid"):
        parallel.for_each(subtract, [0, 1, 2])
