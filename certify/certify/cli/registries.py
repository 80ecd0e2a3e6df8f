"""The registry that a command was given: a folder here, or a service elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from certify.registry import founding
from certify.registry.errors import MALFORMED, wrong
from certify.registry.registry import Registry
from certify.service.client import RemoteRegistry, is_remote

DEFAULT = ".certify/registry"
Place = Annotated[
    str,
    typer.Option("--registry", envvar="CERTIFY_REGISTRY", help="The registry's folder, or the address of its service."),
]


def opened(place: str) -> Registry | RemoteRegistry:
    """The registry at a place.

    Raises:
        RequestError: REG001 there is none.
    """
    return RemoteRegistry(place) if is_remote(place) else Registry.open(Path(place))


def ensured(place: str) -> Registry | RemoteRegistry:
    """The registry at a place; a folder without one gets one."""
    return RemoteRegistry(place) if is_remote(place) else Registry.ensure(Path(place))


def is_there(place: str) -> bool:
    """Whether there is a registry; a service is taken to be one until it is asked."""
    return is_remote(place) or founding.is_made(Path(place))


def folder(place: str) -> Path:
    """The folder of a registry that must be here.

    Raises:
        RequestError: REG009, it is the address of a service.
    """
    if is_remote(place):
        raise wrong(MALFORMED, f"{place} is the address of a service", fix="name the registry's folder")
    return Path(place)
