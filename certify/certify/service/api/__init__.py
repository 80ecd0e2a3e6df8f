"""The API: every address below ``/api/v1``, with what it takes and does.

Rules this package keeps:

- handlers translate between HTTP and the service; what is decided is decided in the core;
- what must be checkable by others (log entries, envelopes, receipts) is handed out byte for byte, in base64;
- a module holds what is about one thing: shapes, handlers, and `ENDPOINTS`, which declares their addresses.
"""

from __future__ import annotations

from typing import Final

from certify.service.api import blobs, credentials, decisions, drafts, events, log, releases, sessions, users

ENDPOINTS: Final = (
    *releases.ENDPOINTS,
    *decisions.ENDPOINTS,
    *blobs.ENDPOINTS,
    *drafts.ENDPOINTS,
    *log.ENDPOINTS,
    *events.ENDPOINTS,
    *sessions.ENDPOINTS,
    *credentials.ENDPOINTS,
    *users.ENDPOINTS,
)
"""Every address."""
