"""tenacity."""

import tenacity


def retry(p):
    stop = tenacity.stop_after_attempt(p.attempts)
    if p.deadline is not None:
        stop |= tenacity.stop_before_delay(p.deadline)
    pause = tenacity.wait_random_exponential(multiplier=p.base, max=p.cap)
    return tenacity.retry(stop=stop, wait=pause, retry=tenacity.retry_if_exception_type(p.failure), reraise=True)
