"""The context that a node is given in the laboratory: the real one, with every use of it on the tape."""

from __future__ import annotations

import functools
import json
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

from certify.capabilities.operation import Operation
from certify.capabilities.real import real_context
from certify.capabilities.recording import recording
from certify.capabilities.settings import call_key, settings_for
from certify.laboratory.inside.watching import Watcher
from certify.manifest.model import Manifest


@functools.cache
def declared(name: str) -> Manifest:
    """The manifest, from its file in the node's folder; read before deliveries are forked, once for all of them."""
    return Manifest.model_validate(tomllib.loads(Path("/node", name).read_text(encoding="utf-8")))


def context(request: dict[str, Any], watcher: Watcher) -> Any:
    """The context for one delivery; the key is derived from the input, as a host would."""
    manifest = declared(request["manifest"])
    key = call_key(manifest, json.loads(request["input"]))
    settings = settings_for(manifest, folder=Path(os.getcwd()), key=key)  # noqa: PTH109 - the folder's name as the node sees it

    def record(operation: Operation) -> None:
        watcher.event(
            "capability",
            operation.target,
            sys._getframe(1),
            via="context",
            each=True,
            operation=operation.operation,
            mode=operation.mode,
            arguments=operation.arguments,
            result=operation.result,
            error=operation.error.type if operation.error else "",
        )

    return recording(real_context(settings), record)
