"""stamina."""

import stamina


def retry(p):
    on = (lambda error: True) if p.failure is BaseException else p.failure
    return stamina.retry(on=on, attempts=p.attempts, timeout=p.deadline, wait_initial=p.base, wait_max=p.cap)
