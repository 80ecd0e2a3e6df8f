"""The registry that a command was given: a folder here, or a service elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:  # read when a registry is opened, so that every other command starts without
    from certify.registry.registry import Registry
    from certify.service.client import RemoteRegistry

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
    from certify.registry.registry import Registry

    return _remote(place) if is_remote(place) else Registry.open(Path(place))


def ensured(place: str) -> Registry | RemoteRegistry:
    """The registry at a place; a folder without one gets one."""
    from certify.registry.registry import Registry

    return _remote(place) if is_remote(place) else Registry.ensure(Path(place))


def _remote(place: str) -> RemoteRegistry:
    from certify.service.client import RemoteRegistry

    return RemoteRegistry(place)


def is_remote(place: str) -> bool:
    """Whether a registry's place is the address of a service."""
    return place.startswith(("http://", "https://"))


def is_there(place: str) -> bool:
    """Whether there is a registry; a service is taken to be one until it is asked."""
    from certify.registry import founding

    return is_remote(place) or founding.is_made(Path(place))


def folder(place: str) -> Path:
    """The folder of a registry that must be here.

    Raises:
        RequestError: REG009, it is the address of a service.
    """
    if is_remote(place):
        from certify.registry.errors import MALFORMED, wrong

        raise wrong(MALFORMED, f"{place} is the address of a service", fix="name the registry's folder")
    return Path(place)
