"""The sandbox's first Python process: ``python -m certify.laboratory.inside``."""

import gc

gc.disable()  # what is imported until deliveries are forked is kept: to look through it takes a fifth of the time

from certify.laboratory.inside.supervisor import main  # noqa: E402 - see above

main()
