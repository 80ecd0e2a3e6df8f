"""A tape: records that survive the death of the process that wrote them.

Shared memory with a descriptor, made before the process that writes it. A record counts once the length at the front
covers it, so a process killed half-way through a record leaves everything before it. Writing takes no system call.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
from collections.abc import Iterator
from typing import Any, Final

import cbor2

_HEADER: Final = struct.Struct("<QQ")
_LENGTH: Final = struct.Struct("<I")
#: Bytes kept free for what is said in place of a record that does not fit.
_KEPT: Final = 4096


class Tape:
    """An append-only list of maps in shared memory."""

    def __init__(self, capacity: int = 64 * 2**20) -> None:
        self.descriptor = os.memfd_create("tape")
        os.ftruncate(self.descriptor, capacity)
        self._map(capacity)
        _HEADER.pack_into(self._memory, 0, self._end, 0)

    @classmethod
    def opened(cls, descriptor: int) -> Tape:
        """An empty tape that another process made, for the process that writes it, and for none that this one forks."""
        tape = cls.__new__(cls)
        tape.descriptor = descriptor
        tape._map(os.fstat(descriptor).st_size)
        os.register_at_fork(after_in_child=tape._lend)
        return tape

    def _map(self, capacity: int) -> None:
        self._memory = mmap.mmap(self.descriptor, capacity)
        self._capacity = capacity
        self._end = _HEADER.size
        self._lock = threading.Lock()
        self._lent = False

    def _lend(self) -> None:
        self._lent = True

    def append(self, record: dict[str, Any], *, instead: dict[str, Any] | None = None) -> None:
        """Add a record; when there is no room, a short one `instead` of it, or it is counted as lost.

        A process that the writer forks has the same memory and would write over its records: it writes nothing.
        """
        if self._lent:
            return
        payload = cbor2.dumps(record)
        with self._lock:
            if self._write(payload, self._capacity - _KEPT):
                return
            if instead is None or not self._write(cbor2.dumps(instead), self._capacity):
                _used, lost = _HEADER.unpack_from(self._memory)
                _HEADER.pack_into(self._memory, 0, self._end, lost + 1)

    def _write(self, payload: bytes, capacity: int) -> bool:
        end = self._end + _LENGTH.size + len(payload)
        if end > capacity:
            return False
        self._memory[self._end : end] = _LENGTH.pack(len(payload)) + payload
        self._end = end
        _HEADER.pack_into(self._memory, 0, end, _HEADER.unpack_from(self._memory)[1])
        return True

    @property
    def lost(self) -> int:
        """How many records did not fit."""
        return int(_HEADER.unpack_from(self._memory)[1])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        end = min(_HEADER.unpack_from(self._memory)[0], self._capacity)
        position = _HEADER.size
        while position + _LENGTH.size <= end:
            (length,) = _LENGTH.unpack_from(self._memory, position)
            position += _LENGTH.size
            if position + length > end:
                return
            try:
                record = cbor2.loads(self._memory[position : position + length])
            except (cbor2.CBORDecodeError, ValueError, RecursionError):
                record = None  # the memory is the node's too: whatever stands there must not end its reader
            if not isinstance(record, dict):
                yield {"t": "trouble", "what": "the record of the run was damaged from within"}
                return
            yield record
            position += length

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
        os.close(self.descriptor)
