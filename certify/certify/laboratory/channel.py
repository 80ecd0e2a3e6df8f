"""Messages between the laboratory and its sandbox: length-prefixed CBOR maps over a stream socket.

The laboratory trusts nothing that comes back: a message is bounded in size and holds plain data only.
"""

from __future__ import annotations

import select
import socket
import struct
from typing import Any, Final, cast

import cbor2

_LENGTH: Final = struct.Struct("<I")
_LARGEST: Final = 256 * 2**20


class ChannelClosed(Exception):
    """The other side is gone, or sent something that is no message."""


class Channel:
    """One end of a stream of messages."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    def fileno(self) -> int:
        """The descriptor, for `select` and `poll`."""
        return self._socket.fileno()

    def send(self, message: dict[str, Any]) -> None:
        """Send one message.

        Raises:
            ChannelClosed: nobody listens any more.
        """
        payload = cbor2.dumps(message)
        try:
            self._socket.sendall(_LENGTH.pack(len(payload)) + payload)
        except OSError as error:
            raise ChannelClosed(str(error)) from error

    def receive(self, timeout: float | None = None) -> dict[str, Any] | None:
        """The next message; None when none begins within `timeout` seconds.

        Raises:
            ChannelClosed: the stream ended, or what came is no message.
        """
        if timeout is not None and not select.select([self._socket], [], [], timeout)[0]:
            return None
        (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size))
        if length > _LARGEST:
            raise ChannelClosed(f"a message of {length} bytes was announced; the most is {_LARGEST}")
        try:
            message = cbor2.loads(self._exactly(length))
        except (cbor2.CBORDecodeError, ValueError) as error:
            raise ChannelClosed(f"not a message: {error}") from error
        if not isinstance(message, dict):
            raise ChannelClosed("not a message: no map")
        return cast("dict[str, Any]", message)

    def _exactly(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            try:
                part = self._socket.recv(min(count - len(parts), 2**20))
            except OSError as error:
                raise ChannelClosed(str(error)) from error
            if not part:
                raise ChannelClosed("the stream ended")
            parts += part
        return bytes(parts)

    def close(self) -> None:
        """Close this end."""
        self._socket.close()
