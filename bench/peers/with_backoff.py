"""backoff."""

import backoff


def retry(p):
    return backoff.on_exception(
        backoff.expo, p.failure, max_tries=p.attempts, max_time=p.deadline, base=2, factor=p.base, max_value=p.cap
    )
