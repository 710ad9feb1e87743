"""SIGTERM and SIGINT, sent to this very process."""

import os
import signal
import time

import pytest

from crawlers.runtime.errors import Interrupted
from crawlers.runtime.signals import stopping


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_within_heeding_a_signal_interrupts_wherever_the_program_is(number: int, code: int) -> None:
    with pytest.raises(Interrupted, match="nothing was published") as caught, stopping() as stop, stop.heeding():
        send(number)
        time.sleep(0.9)
        pytest.fail("was not interrupted")
    assert caught.value.exit_code == code


def test_outside_of_heeding_a_signal_waits() -> None:
    reached = []
    with pytest.raises(Interrupted), stopping() as stop:
        send(signal.SIGTERM)
        reached.append("the temporary file was made and noted")
        with stop.heeding():
            reached.append("never")
    assert reached == ["the temporary file was made and noted"]


def test_only_the_first_signal_interrupts() -> None:
    cleaned = []
    with pytest.raises(Interrupted) as caught, stopping() as stop, stop.heeding():
        try:
            send(signal.SIGTERM)
        finally:
            send(signal.SIGINT)
            cleaned.append(True)
    assert caught.value.exit_code == 143
    assert cleaned == [True]


def test_a_signal_that_comes_too_late_changes_nothing() -> None:
    done = []
    with stopping() as stop, stop.too_late():
        send(signal.SIGTERM)
        send(signal.SIGINT)
        done.append("published")
    assert done == ["published"]


def test_one_that_came_before_forbids_the_publish() -> None:
    with stopping() as stop:
        send(signal.SIGTERM)
        with pytest.raises(Interrupted), stop.too_late():
            pytest.fail("was published")


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with stopping():
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
