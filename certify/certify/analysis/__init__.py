"""The effects of a node, from its text alone: a fail-closed walk of its own syntax trees.

`read_sources` reads the files, `analyse` walks them, and the `Analysis` holds effects with witness paths, blind spots,
and the modules taken on trust. Nothing of the node is ever imported or run here.
"""

from certify.analysis.model import Analysis, Assumption, Blind, Effect, Kind, Step
from certify.analysis.sources import Source, Sources, parse_sources, read_sources
from certify.analysis.walk import analyse

__all__ = [
    "Analysis",
    "Assumption",
    "Blind",
    "Effect",
    "Kind",
    "Source",
    "Sources",
    "Step",
    "analyse",
    "parse_sources",
    "read_sources",
]
