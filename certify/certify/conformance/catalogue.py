"""All scenarios, in the order of their properties."""

from __future__ import annotations

from typing import Final

from certify.conformance import breakers, calls
from certify.conformance.judging import Scenario
from certify.conformance.verdicts import PROPERTIES

SCENARIOS: Final[tuple[Scenario, ...]] = tuple(
    scenario
    for number in PROPERTIES
    for scenario in (*breakers.SCENARIOS, *calls.SCENARIOS)
    if scenario.property == number
)
