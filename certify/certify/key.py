"""The idempotency key of a request (C-KEY): equal requests give equal keys, on every machine and in every process.

The key is the BLAKE3 digest of a canonical CBOR map (RFC 8949, section 4.2.1) with four text keys: ``f`` the flow,
``n`` the node, ``p`` the partition, ``x`` the chosen fields of the request.

Rules this module keeps:

- text is brought to Unicode Normalization Form C before it is encoded, so a composed and a decomposed spelling give one
  key; nothing else is converted: 1 and 1.0 are different, and so are 0.0 and -0.0;
- a value without a deterministic encoding is refused, never guessed;
- it imports the codec alone, so that a node in the sandbox can derive its keys itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from blake3 import blake3

from certify.codec import EncodingError, encode_composed

KEY_BYTES: Final = 32
"""Length of a key."""


def idempotency_key(flow: str, node: str, partition: str, fields: Mapping[str, object]) -> bytes:
    """The 32-byte key of the request that `fields` identify within a flow, a node and a partition.

    Args:
        flow: the flow id.
        node: the node id.
        partition: the partition, empty when the node has none.
        fields: the chosen fields by name: None, bool, int, float, str, bytes, lists, tuples and maps of these.

    Raises:
        EncodingError: an argument is not text or no map, or a field has no deterministic encoding (a set, NaN, an
            object, an integer beyond 64 bits …), or two names become equal in Normalization Form C. Its path names the
            offending value, with the fields below ``$.x``.
    """
    return blake3(preimage(flow, node, partition, fields)).digest()


def preimage(flow: str, node: str, partition: str, fields: Mapping[str, object]) -> bytes:
    """The canonical bytes whose digest is the key: what to compare when two implementations differ.

    Raises:
        EncodingError: as `idempotency_key`.
    """
    for name, value in (("f", flow), ("n", node), ("p", partition)):
        if type(value) is not str:
            raise EncodingError(
                f"$.{name}", f"a key's {_ROLES[name]} is text, not {type(value).__name__}", "pass a str"
            )
    if not isinstance(fields, Mapping):
        raise EncodingError("$.x", f"a key's fields are a map, not {type(fields).__name__}", "pass fields by name")
    return encode_composed({"f": flow, "n": node, "p": partition, "x": fields})


_ROLES: Final[Mapping[str, str]] = {"f": "flow", "n": "node", "p": "partition"}
