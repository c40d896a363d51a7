"""Waiting on a state, never on a clock."""

import time


def wait_for(predicate, what, deadline=20.0, interval=0.02):
    """The first true value of predicate(); AssertionError saying `what` never came to be."""
    end = time.monotonic() + deadline
    while not (value := predicate()):
        if time.monotonic() > end:
            raise AssertionError(f"after {deadline} s: {what} (last: {value!r})")
        time.sleep(interval)
    return value
