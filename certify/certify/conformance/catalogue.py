"""All scenarios: those that the properties ask for, and those of the fault campaign, in the order of properties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from certify.conformance import breakers, calls, faults
from certify.conformance.judging import Scenario
from certify.conformance.verdicts import PROPERTIES


def _in_order(scenarios: Sequence[Scenario]) -> tuple[Scenario, ...]:
    return tuple(scenario for number in PROPERTIES for scenario in scenarios if scenario.property == number)


SCENARIOS: Final = _in_order((*breakers.SCENARIOS, *calls.SCENARIOS))
FAULTS: Final = _in_order(faults.SCENARIOS)

#: By the name of the catalogue.
CATALOGUES: Final[Mapping[str, tuple[Scenario, ...]]] = {"conformance": SCENARIOS, "faults": FAULTS}
