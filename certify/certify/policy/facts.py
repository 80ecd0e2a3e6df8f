"""From evidence to questions: what the manifest, the types and the runs say, put as requests to policy.

Rules this module keeps:

- a question names one host, scope, region, field, module or disclosure, and the place and evidence that it comes from;
- what is asked follows from the evidence alone: no question is left out because its answer seems clear;
- text from a manifest enters evidence in Normalization Form C; numbers too big for policies are held at their largest.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from certify.evidence.verdict import CheckResult, name
from certify.laboratory.record import EventKind, RunRecord
from certify.manifest.model import Manifest, Mode, Resource, ResourceKind
from certify.manifest.positions import Path, Positions
from certify.policy.disclosure import Disclosure
from certify.policy.evaluation import Entity, PolicyRequest, plain, whole
from certify.policy.settings import Ceiling, Settings, matches
from certify_spec.diagnostics import Note, Place

REGISTRY: Final = Entity("Registry", "registry")
_PORTS: Final = {"http": 80, "https": 443}
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Question:
    """A request to policy, and where it comes from.

    Attributes:
        about: what it is about, stable from run to run: the name by which a waiver may be narrowed.
        place: the line to blame if it is refused.
        evidence: what was read to ask it.
    """

    request: PolicyRequest
    about: str
    place: Place
    evidence: Mapping[str, Any] = field(default_factory=dict, hash=False)
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """The manifest, the places of its keys, and the settings to compare with."""

    manifest: Manifest
    file: str
    positions: Positions
    settings: Settings

    def at(self, *path: str | int) -> Place:
        """Where a value of the manifest is written, or what is nearest to it."""
        return self.positions.value(path).within(self.file)

    def key(self, path: Path) -> Place:
        """Where a key of the manifest is written, or what is nearest to it."""
        return self.positions.key(path).within(self.file)

    @property
    def node(self) -> Entity:
        """The node as policies see it."""
        node = self.manifest.node
        classes = {*self.manifest.input.classes.values(), *self.manifest.output.classes.values()}
        return Entity(
            "Node",
            f"{node.id}@{node.version}",
            {
                "id": node.id,
                "version": node.version,
                "owner": plain(node.owner),
                "profile": node.profile.value,
                "effects": node.effects.value,
                "determinism": node.determinism.value,
                "dataClasses": sorted(each.value for each in classes),
            },
        )

    def ask(self, action: str, resource: Entity, context: Mapping[str, Any], *others: Entity) -> PolicyRequest:
        """A request about this node."""
        return PolicyRequest(action, self.node, resource, context, others)


@dataclass(frozen=True, slots=True)
class Address:
    """Scheme, host and port; the port is 0 and the scheme empty where unknown."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port and self.port != _PORTS.get(self.scheme) else ""
        return f"{self.scheme}://{host}{port}" if self.scheme else f"{host}{port}"


def address_of(url: str) -> Address:
    """The host that a URL leads to; a URL that two readers could read in two ways keeps its own text as host.

    User names, queries, fragments and backslashes in what should be a host are such: ``https://good.example@evil.example``.
    """
    text = url.rstrip("/")
    try:
        parts = urlsplit(text)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return Address("", plain(text), 0)
    if parts.username is not None or parts.path or parts.query or parts.fragment or not parts.hostname:
        return Address(parts.scheme, plain(text), 0)
    if any(sign in "\\%<>\"'`{}|^" or sign.isspace() or not sign.isprintable() for sign in parts.netloc):
        return Address(parts.scheme, plain(text), 0)
    return Address(parts.scheme, plain(parts.hostname.rstrip(".").lower()), port)


def is_local(host: str) -> bool:
    """Whether the host is the machine itself (RFC 6761, RFC 1122, RFC 4291)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host(address: Address, settings: Settings) -> Entity:
    shown = f"[{address.host}]" if ":" in address.host else address.host
    scheme = address.scheme or "https"  # a connection of unknown scheme is judged by its host
    forms = (f"{scheme}://{shown}", f"{scheme}://{shown}:{address.port}")
    patterns = tuple(p.replace("*://", f"{scheme}://", 1) if p.startswith("*://") else p for p in settings.egress.allow)
    plain_host = not any(sign in address.host for sign in "/@?#\\ ")
    return Entity(
        "Host",
        str(address),
        {
            "scheme": address.scheme,
            "name": address.host,
            "port": address.port,
            "allowed": plain_host and any(matches(form, patterns) for form in forms),
            "local": is_local(address.host),
            "test": plain_host and matches(address.host, settings.egress.plain_http),
        },
    )


def _resource(resource: Resource) -> Entity:
    leaves = resource.kind is ResourceKind.HTTP and not is_local(address_of(resource.url or "").host)
    return Entity(
        "Resource",
        resource.name,
        {
            "name": resource.name,
            "kind": resource.kind.value,
            "mode": resource.mode.value,
            "carries": sorted(each.value for each in resource.carries),
            "leavesMachine": leaves,
        },
    )


def about_node(origin: Origin, earlier: Mapping[str, CheckResult]) -> Question:
    """May it enter the registry?"""
    manifest = origin.manifest
    by_verdict: dict[str, list[str]] = {"passed": [], "failed": [], "unknown": []}
    for check, result in sorted(earlier.items()):
        by_verdict.setdefault(name(result.verdict), []).append(check)
    context = {
        "hasIdempotencyKey": manifest.idempotency is not None,
        "hasResidency": manifest.residency is not None,
        "patterns": sorted({pattern.spec for pattern in manifest.pattern}),
        "passed": by_verdict["passed"],
        "failed": by_verdict["failed"],
        "unknown": by_verdict["unknown"],
    }
    request = origin.ask("publish", REGISTRY, context)
    return Question(request, "node", origin.key(("node",)), {"manifest": origin.file, **context})


def about_hosts(origin: Origin, records: Iterable[RunRecord]) -> Iterator[Question]:
    """May it talk to these hosts: the declared ones, and any other that a run tried to reach?"""
    declared: dict[Address, tuple[int, Resource]] = {}
    for i, resource in enumerate(origin.manifest.resource):
        if resource.kind is ResourceKind.HTTP and resource.url:
            declared.setdefault(address_of(resource.url), (i, resource))
    runs = list(records)
    used = {exchange.resource for record in runs for exchange in record.exchanges}
    names = {address.host for address in declared}
    for address, (i, resource) in declared.items():
        observed = resource.name in used
        request = origin.ask("connect", _host(address, origin.settings), {"declared": True, "observed": observed})
        evidence = {"resource": resource.name, "url": plain(resource.url or ""), "observed": observed}
        yield Question(request, f"host {address}", origin.at("resource", i, "url"), evidence)
    for address, place in _undeclared(runs, names).items():
        request = origin.ask("connect", _host(address, origin.settings), {"declared": False, "observed": True})
        yield Question(request, f"host {address}", place or origin.key(("node",)), {"observed": str(address)})


def _undeclared(runs: Iterable[RunRecord], declared: set[str]) -> dict[Address, Place | None]:
    """Hosts that runs connected to or looked up beside the declared ones and the machine itself."""
    found: dict[Address, Place | None] = {}
    for event in (event for record in runs for event in record.events):
        if event.kind not in {EventKind.CONNECT, EventKind.RESOLVE} or event.target.startswith(("unix:", "/")):
            continue
        host, _, port = event.target.rpartition(":") if event.kind is EventKind.CONNECT else (event.target, "", "")
        host = plain((host or event.target).strip("[]").rstrip(".").lower())
        if host in declared or is_local(host) or host in {"", "none", "0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
            continue
        address = Address("", host, int(port) if port.isdecimal() and len(port) <= 5 else 0)
        found[address] = found.get(address) or event.place
    return found


def about_scopes(origin: Origin) -> Iterator[Question]:
    """May it hold these credential scopes?"""
    rules = origin.settings.scopes
    for i, resource in enumerate(origin.manifest.resource):
        for k, scope in enumerate(resource.scopes):
            text = plain(scope)
            allowed = matches(text, rules.allow) and not matches(text.strip().lower(), rules.refuse)
            entity = Entity("Scope", f"{resource.name}/{text}", {"name": text, "at": resource.name, "allowed": allowed})
            request = origin.ask("hold", entity, {})
            evidence = {"resource": resource.name, "scope": text}
            yield Question(request, f"scope {text} at {resource.name}", origin.at("resource", i, "scopes", k), evidence)


def about_regions(origin: Origin) -> Iterator[Question]:
    """May its data rest where its resources keep it?"""
    residency = origin.manifest.residency
    regions = residency.regions if residency else ()
    for k, region in enumerate(regions):
        yield _store(origin, plain(region), None, origin.at("residency", "regions", k), regions)
    for i, resource in enumerate(origin.manifest.resource):
        keeps = resource.mode is Mode.WRITE or resource.kind is ResourceKind.HTTP
        if resource.region is not None or keeps:
            place = origin.at("resource", i, "region") if resource.region else origin.at("resource", i, "name")
            yield _store(origin, plain(resource.region or ""), resource, place, regions)


def _store(origin: Origin, region: str, resource: Resource | None, place: Place, regions: tuple[str, ...]) -> Question:
    declared = region in {plain(each) for each in regions}
    allowed = region == "" or matches(region, origin.settings.residency.regions)
    where = resource.name if resource else "[residency]"
    entity = Entity("Region", f"{where}/{region}", {"name": region, "declared": declared, "allowed": allowed})
    keeper = _resource(resource) if resource else _NOWHERE
    context = {"resource": keeper.reference, "hasResidency": origin.manifest.residency is not None}
    evidence = {"resource": where, "region": region, "residency": [plain(each) for each in regions]}
    return Question(
        origin.ask("store", entity, context, keeper), f"region {region or '(none)'} of {where}", place, evidence
    )


_NOWHERE: Final = Entity(
    "Resource", "[residency]", {"name": "", "kind": "", "mode": "read", "carries": [], "leavesMachine": False}
)


def about_fields(origin: Origin) -> Iterator[Question]:
    """May its input and output have fields of these classes?"""
    for side, payload in (("input", origin.manifest.input), ("output", origin.manifest.output)):
        for path, data_class in payload.classes.items():
            text = plain(path)
            entity = Entity("Field", f"{side}/{text}", {"side": side, "path": text, "class": data_class.value})
            evidence = {"side": side, "path": text, "class": data_class.value}
            yield Question(
                origin.ask("expose", entity, {}), f"{side} field {text}", origin.at(side, "classes", path), evidence
            )


def about_trusts(origin: Origin) -> Iterator[Question]:
    """May it take these modules on trust?"""
    for i, module in enumerate(origin.manifest.node.trusts):
        allowed = any(
            matches(module, (pattern,)) or matches(module, (f"{pattern}.*",))
            for pattern in origin.settings.trusts.modules
        )
        entity = Entity("Module", plain(module), {"name": plain(module), "allowed": allowed})
        yield Question(
            origin.ask("trust", entity, {}),
            f"module {plain(module)}",
            origin.at("node", "trusts", i),
            {"module": module},
        )


def about_disclosure(origin: Origin, found: Disclosure, fixture: str) -> Question:
    """May this data go where a run sent it?"""
    sensitive, sent = found.sensitive, found.sent
    declared = next(
        ((i, resource) for i, resource in enumerate(origin.manifest.resource) if resource.name == sent.resource), None
    )
    if declared:
        entity = _resource(declared[1])
        scheme = address_of(declared[1].url).scheme if declared[1].url else ""
        manifest_place = origin.at("resource", declared[0], "name")
        note = Note(f"the resource `{sent.resource}` is declared here", manifest_place)
    else:
        attributes = {"name": sent.resource, "kind": sent.kind, "mode": "write", "carries": [], "leavesMachine": False}
        entity = Entity("Resource", sent.resource, attributes)
        scheme, manifest_place = "", origin.at("input", "classes", sensitive.path)
        note = Note(f"the field `{plain(sensitive.path)}` gets its class here", manifest_place)
    request = origin.ask("send", entity, {"class": sensitive.data_class.value, "scheme": scheme})
    evidence = {
        "field": plain(sensitive.path),
        "class": sensitive.data_class.value,
        "fixture": fixture,
        "in": plain(sent.part),
        "form": found.form,
    }
    about = f"{sensitive.data_class.value} of {plain(sensitive.path)} to {sent.resource}"
    return Question(request, about, sent.place or manifest_place, evidence, (note,))


def use_of(manifest: Manifest) -> dict[str, int]:
    """What one call may use by the manifest, and what that comes to at the planned rate; units are in the names."""
    budget = manifest.budget
    return {
        "wallUs": whole(budget.wall * 1e6),
        "cpuUs": whole(budget.cpu * 1e6),
        "memoryBytes": whole(budget.memory),
        "requests": whole(budget.requests),
        "tokens": whole(budget.tokens),
        "moneyMicros": whole(budget.money_micros),
        "cpuMillicores": whole(_times(budget.cpu * 1000, budget.qps)),
        "burstMemoryBytes": whole(budget.memory * budget.burst),
        "requestsPerSecond": whole(_times(budget.requests, budget.qps)),
        "tokensPerDay": whole(_times(budget.tokens, budget.qps * _DAY)),
        "moneyMicrosPerDay": whole(_times(budget.money_micros, budget.qps * _DAY)),
    }


def _times(amount: float, rate: float) -> float:
    """`amount` times `rate`; whole numbers beyond the range of floats count as infinite."""
    try:
        return amount * rate if amount else 0.0
    except OverflowError:
        return float("inf")


def ceiling_of(ceiling: Ceiling) -> dict[str, int]:
    """The organisation's ceilings, under the names of `use_of`."""
    return {
        "wallUs": ceiling.wall,
        "cpuUs": ceiling.cpu,
        "memoryBytes": ceiling.memory,
        "requests": ceiling.requests,
        "tokens": ceiling.tokens,
        "moneyMicros": ceiling.money_micros,
        "cpuMillicores": whole(ceiling.processors * 1000),
        "burstMemoryBytes": ceiling.burst_memory,
        "requestsPerSecond": ceiling.requests_per_second,
        "tokensPerDay": ceiling.tokens_per_day,
        "moneyMicrosPerDay": ceiling.money_micros_per_day,
    }


def about_budget(origin: Origin) -> Question:
    """May it use so much?"""
    use, ceiling = use_of(origin.manifest), ceiling_of(origin.settings.ceiling)
    request = origin.ask("spend", REGISTRY, {"use": use, "ceiling": ceiling})
    return Question(request, "budget", origin.key(("budget",)), {"use": use, "ceiling": ceiling})
