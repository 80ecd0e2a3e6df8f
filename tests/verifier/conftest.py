"""Solver processes, shared by the tests of one worker."""

from collections.abc import Iterator

import pytest

from certify_verifier.solving import Solvers


@pytest.fixture(scope="session")
def solvers() -> Iterator[Solvers]:
    """Two solver processes that end with the tests."""
    with Solvers(jobs=2) as pool:
        yield pool
