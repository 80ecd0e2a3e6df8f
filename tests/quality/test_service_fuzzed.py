"""Whatever is sent to a documented address, the answer is a documented one, and never a defect."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from certify.registry.verification import verify_log
from certify.service import openapi
from certify.service.api import ENDPOINTS
from registry_support import submission
from service_support import client, inhabit, publish, roomy

EXAMPLES = 5
LEFT_OUT = {"stream_events", "logout", "login"}


@pytest.mark.filterwarnings("ignore")
def test_nothing_that_is_sent_is_a_defect(tmp_path: Path) -> None:
    """R-AUTH: generated requests, well formed and not, to every address: no 5xx, and only documented statuses."""
    lived = inhabit(tmp_path / "registry")
    schema = schemathesis.openapi.from_dict(openapi.document(ENDPOINTS))
    seen: dict[str, set[int]] = {}
    with client(roomy(lived.folder, body_seconds=5.0)) as api:
        publish(api, lived.bearer("ana"), submission())
        for result in schema.get_all_operations():
            operation = result.ok()
            name = str(operation.definition.raw["operationId"])
            if name not in LEFT_OUT:
                seen[name] = fuzz(api, operation, lived.bearer("eve"))
    assert len(seen) == len(ENDPOINTS) - len(LEFT_OUT)
    assert [name for name, statuses in seen.items() if any(status >= 500 for status in statuses)] == []
    assert any(status < 300 for statuses in seen.values() for status in statuses)
    assert verify_log(lived.folder).holds


def fuzz(api: httpx.Client, operation: object, headers: dict[str, str]) -> set[int]:
    """Send generated requests to one address; the statuses of the answers."""
    statuses: set[int] = set()
    modes = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]
    cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in modes))  # type: ignore[attr-defined]

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=cases)
    def send(case: schemathesis.Case) -> None:
        sent = case.as_transport_kwargs(base_url=str(api.base_url).rstrip("/"), headers=headers)
        try:
            answer = api.request(
                sent["method"],
                sent["url"],
                params=sent.get("params"),
                headers={k: v for k, v in dict(sent["headers"]).items() if v is not None} | headers,
                json=sent.get("json"),
                content=sent.get("data") if isinstance(sent.get("data"), bytes | str) else None,
            )
        except (UnicodeError, httpx.InvalidURL, httpx.LocalProtocolError, TypeError, ValueError):
            return  # what cannot be sent at all
        statuses.add(answer.status_code)
        documented = case.operation.definition.raw["responses"]
        assert str(answer.status_code) in documented, (answer.status_code, answer.text[:300])

    send()
    return statuses
