"""What each check measured, in the form that fits it.

Rules this module keeps:

- nothing is judged here: whether an effect is declared or a factor held is what the check said;
- a check's measurements may miss members, or have more: what is not understood is shown by `generic`, never dropped and
  never a failure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

from certify.evidence.verdict import CheckResult, Passed, Unknown
from certify.policy.policies import PolicySet
from certify.report import generic
from certify.report.panels import Bar, Bars, Cell, Figures, Panel, Sets, Table, Tile, Tiles, Tone

_Reader = Callable[[CheckResult, "Surroundings"], tuple[list[Panel], set[str]]]
_KNOWN_FACTORS: Final = {
    "hash_seed": "order of sets and of keys",
    "clock": "date and time",
    "random": "entropy and seeds",
    "timezone": "local time zone",
    "locale": "language and formats",
    "hostname": "name of the machine",
    "pid": "process id",
    "cwd": "working folder",
    "env": "environment variables",
    "aslr": "memory addresses",
    "cpu_count": "number of processors",
    "threads": "switching of threads",
    "directory_order": "order of a folder's files",
    "earlier_calls": "earlier calls",
    "upstream": "answers of upstreams",
}


@dataclass(frozen=True)
class Surroundings:
    """What else of the evidence helps to read a measurement: the manifest as data, and the policies if at hand."""

    manifest: Mapping[str, Any]
    policies: PolicySet | None = None


def panels(result: CheckResult, surroundings: Surroundings) -> tuple[Panel, ...]:
    """The panels for one result."""
    reader = _READERS.get(result.check)
    found: list[Panel] = []
    used: set[str] = set()
    if reader is not None:
        try:
            found, used = reader(result, surroundings)
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
            found, used = [], set()  # a shape that this release does not know: shown as it is
    rest = {name: value for name, value in result.measured.items() if name not in used}
    return (*found, *generic.panels(rest))


# -- effects -----------------------------------------------------------------------------------------------------


_Member = tuple[bool, bool, bool]
_STATES: Final[Mapping[_Member, tuple[str, Tone]]] = {
    (True, True, True): ("declared, in the text, observed", "good"),
    (True, False, True): ("declared and observed; the text does not show it", "good"),
    (True, True, False): ("declared, never exercised", "warn"),
    (True, False, False): ("declared, and nothing uses it", "warn"),
}


@dataclass(slots=True)
class _Row:
    """One effect: what names it in each of the sets, and where."""

    kind: str
    declared: str = ""
    text: list[str] | None = None
    observed: list[str] | None = None

    @property
    def member(self) -> _Member:
        return bool(self.declared), bool(self.text), bool(self.observed)


def _effects(result: CheckResult, surroundings: Surroundings) -> tuple[list[Panel], set[str]]:
    measured = result.measured
    rows: dict[str, _Row] = {}
    resources = list(_maps(measured["declared"]))
    described = {str(r.get("name")): r for r in _maps(surroundings.manifest.get("resource", []))}
    for resource in resources:
        name = str(resource["name"])
        rows[f"resource {name}"] = _Row(str(resource["kind"]), f"{resource['kind']} {name} ({resource['mode']})")
    for effect in _maps(measured["static"]):
        row = _row_of(rows, effect, resources, described)
        row.text = [*(row.text or []), _said(effect)]
    for effect in _maps(measured["observed"]):
        row = _row_of(rows, effect, resources, described)
        row.observed = [*(row.observed or []), _said(effect)]
    refused = {finding.data.get("kind") for finding in result.findings if finding.code in {"EFF001", "EFF002"}}
    cells = tuple(
        _effect_cells(name, row, refused=row.kind in refused, passed=isinstance(result.verdict, Passed))
        for name, row in list(rows.items())[: generic.MOST_ROWS]
    )
    table = Table(
        "Effects",
        "Each effect: whether the manifest declares it, the node's text allows it, and a run had it",
        ("effect", "declared", "in the text", "observed", "so it is"),
        cells,
        left_out=max(0, len(rows) - generic.MOST_ROWS),
    )
    classes = (
        ("declared class", Cell(str(measured.get("declared_class", "")) or "–")),
        ("derived class", Cell(str(measured.get("derived_class", "")) or "–")),
    )
    found: list[Panel] = [Figures("Class of effects", classes)]
    if rows:
        found.append(Sets("Effects as three sets", dict(Counter(row.member for row in rows.values())), table))
    return found, {"declared", "static", "observed", "declared_class", "derived_class"}


def _row_of(
    rows: dict[str, _Row], effect: Mapping[str, Any], resources: list[Mapping[str, Any]], described: Mapping[str, Any]
) -> _Row:
    for resource in resources:
        if _is_use(effect, resource, described.get(str(resource["name"]), {})):
            return rows[f"resource {resource['name']}"]
    return rows.setdefault(f"effect {effect['name']}", _Row(str(effect["kind"])))


def _is_use(effect: Mapping[str, Any], resource: Mapping[str, Any], described: Mapping[str, Any]) -> bool:
    """Whether an effect goes by the name of a resource, or of something that the manifest says of it."""
    kind, target = str(effect["kind"]), str(effect["name"]).partition(":")[2]
    if kind == "network":
        return resource["kind"] == "http" and target in _addresses(described.get("url"))
    if kind != resource["kind"]:
        return False
    aliases = {"", resource["name"], described.get("path"), *described.get("variables", ())}
    return target in aliases


def _addresses(url: object) -> set[str]:
    try:
        parts = urlsplit(str(url or ""))
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    except ValueError:
        return set()
    return {f"{parts.hostname}:{port}", str(parts.hostname)} if parts.hostname else set()


def _said(effect: Mapping[str, Any]) -> str:
    place = str(effect.get("place", ""))
    return f"{effect.get('call', effect['name'])}{f' at {place}' if place else ''}"


def _effect_cells(name: str, row: _Row, *, refused: bool, passed: bool) -> tuple[Cell, ...]:
    if row.declared:
        word, tone = _STATES[row.member]
    elif refused:
        word, tone = "no declared resource by this name: see the findings", "bad"
    elif passed:
        word, tone = "covered by another resource", "good"
    else:
        word, tone = "no declared resource by this name", "warn"
    return (
        Cell(row.declared or name.removeprefix("effect "), name=True),
        _tick(bool(row.declared)),
        _listed(row.text),
        _listed(row.observed),
        Cell(word, tone=tone),
    )


def _tick(held: bool) -> Cell:
    return Cell("yes" if held else "no", tone="" if held else "muted")


def _listed(items: list[str] | None) -> Cell:
    if not items:
        return Cell("no", tone="muted")
    distinct = list(dict.fromkeys(items))
    more = f" and {len(distinct) - 3} more" if len(distinct) > 3 else ""
    return Cell("\n".join(distinct[:3]) + more, name=True)


# -- determinism -------------------------------------------------------------------------------------------------


def _determinism(result: CheckResult, _surroundings: Surroundings) -> tuple[list[Panel], set[str]]:
    measured = result.measured
    leaks, pins = set(measured["leaks"]), set(measured["pins"])
    factors = list(dict.fromkeys([*measured["factors"], *sorted(pins), *sorted(leaks - {"unpinned"})]))
    judged = measured.get("declared") != "best_effort"
    undecided = isinstance(result.verdict, Unknown)
    blurred = "unpinned" in leaks
    shown = tuple(
        _tile(str(factor), leaked=factor in leaks, pinned=factor in pins, judged=judged, open_=undecided or blurred)
        for factor in factors
    )
    again = _again(blurred=blurred, judged=judged, undecided=undecided)
    figures = (
        ("claimed", Cell(str(measured.get("declared", "–")))),
        ("shown", Cell(str(measured.get("observed", "–")))),
        ("replays", Cell(generic.number(measured.get("replays", 0)))),
    )
    caption = "What became of the answer when one factor of the surroundings was changed at a time"
    tiles = Tiles("Factors", caption, (again, *shown))
    return [Figures("Claim and replays", figures), tiles], {
        "replays",
        "factors",
        "leaks",
        "declared",
        "pins",
        "observed",
    }


def _again(*, blurred: bool, judged: bool, undecided: bool) -> Tile:
    """Two runs with nothing changed between them."""
    remark = "two runs, nothing changed"
    if blurred:
        return Tile("same again", "differs", "bad" if judged else "warn", remark)
    return Tile("same again", "undecided", "muted", remark) if undecided else Tile("same again", "held", "good", remark)


def _tile(factor: str, *, leaked: bool, pinned: bool, judged: bool, open_: bool) -> Tile:
    remark = _KNOWN_FACTORS.get(factor, "")
    name = factor.replace("_", " ")
    if leaked and pinned:
        return Tile(name, "pinned", "warn", remark)
    if leaked:
        return Tile(name, "leaked", "bad" if judged else "warn", remark)
    if open_:
        return Tile(name, "undecided", "muted", remark)
    return Tile(name, "pinned, held" if pinned else "held", "good", remark)


# -- budget ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Gauge:
    """What a quantity is called in the samples and in the budget, and how many of the first are one of the second."""

    name: str
    sample: str
    allowed: str
    unit: str
    scale: float


_GAUGES: Final = (
    _Gauge("wall time", "wall_ms", "wallUs", "ms", 1e-3),
    _Gauge("processor time", "cpu_ms", "cpuUs", "ms", 1e-3),
    _Gauge("memory", "memory_kib", "memoryBytes", "KiB", 1 / 1024),
    _Gauge("requests", "requests", "requests", "", 1),
    _Gauge("tokens", "tokens", "tokens", "", 1),
    _Gauge("money", "money_micros", "moneyMicros", "millionths", 1),
)


def _budget(result: CheckResult, surroundings: Surroundings) -> tuple[list[Panel], set[str]]:
    measured = result.measured
    samples = list(measured["fixtures"].values())
    bars = [_bar(gauge, samples, measured) for gauge in _GAUGES]
    caption = "The most that a fixture used, of what the manifest allows for one call"
    found: list[Panel] = [Bars("Budget of one call", caption, tuple(bar for bar in bars if bar is not None))]
    found.append(
        replace(generic.table("Fixtures", measured["fixtures"]), caption="What each fixture used, of all its runs")
    )
    currency = str(measured.get("currency", ""))
    if rates := tuple(_rates(measured, currency)):
        found.append(Figures("At the planned rate", rates))
    found += _decisions(measured.get("decisions", ()), result, surroundings)
    names = {"fixtures", "budget", "ceiling", "currency", "decisions", "policies"}
    return found, names | {"money_micros_per_day_measured", "money_micros_per_day_budgeted"}


def _bar(gauge: _Gauge, samples: list[Mapping[str, Any]], measured: Mapping[str, Any]) -> Bar | None:
    spent = [_span(sample[gauge.sample]) for sample in samples if gauge.sample in sample]
    if not spent or gauge.allowed not in measured["budget"]:
        return None
    least, most = min(low for low, _ in spent), max(high for _, high in spent)
    allowed = float(measured["budget"][gauge.allowed]) * gauge.scale
    if most == allowed == 0:
        return None
    ceiling = measured.get("ceiling", {}).get(gauge.allowed)
    remark = "" if ceiling is None else f"ceiling {_amount(float(ceiling) * gauge.scale, gauge.unit)}"
    used = generic.span(least, most, gauge.unit) if gauge.unit != "KiB" else _sizes(least, most)
    return Bar(gauge.name, least, most, allowed, used, _amount(allowed, gauge.unit), remark)


def _span(value: Any) -> tuple[float, float]:
    return (float(value["least"]), float(value["most"])) if isinstance(value, Mapping) else (float(value), float(value))


def _sizes(least: float, most: float) -> str:
    low, high = _amount(least, "KiB"), _amount(most, "KiB")
    return low if low == high else f"{low} – {high}"


def _amount(amount: float, unit: str) -> str:
    if unit == "KiB" and amount >= 1024:
        return f"{generic.number(round(amount / 1024, 1))} MiB"
    if unit == "ms" and amount >= 1000:
        return f"{generic.number(round(amount / 1000, 1))} s"
    return f"{generic.number(amount)} {unit}".strip()


def _rates(measured: Mapping[str, Any], currency: str) -> Iterable[tuple[str, Cell]]:
    budget = measured["budget"]
    for name, words, scale, unit in (
        ("cpuMillicores", "processors", 1e-3, ""),
        ("burstMemoryBytes", "memory in a burst", 2**-30, "GiB"),
        ("requestsPerSecond", "requests a second", 1, ""),
        ("tokensPerDay", "tokens a day", 1, ""),
    ):
        if budget.get(name):
            ceiling = measured.get("ceiling", {}).get(name)
            beside = "" if ceiling is None else f" of at most {generic.number(ceiling * scale)}"
            yield words, Cell(f"{generic.number(budget[name] * scale)}{beside} {unit}".strip())
    for name, words in (
        ("money_micros_per_day_budgeted", "money a day, budgeted"),
        ("money_micros_per_day_measured", "money a day, measured"),
    ):
        if measured.get(name):
            yield words, Cell(f"{generic.number(measured[name] / 1e6)} {currency}".strip())


# -- policy ------------------------------------------------------------------------------------------------------

_MOST_THINGS: Final = 12


def _policy(result: CheckResult, surroundings: Surroundings) -> tuple[list[Panel], set[str]]:
    found = _decisions(result.measured["decisions"], result, surroundings)
    return found, {"decisions", "policies"}


def _decisions(decisions: Iterable[Any], result: CheckResult, surroundings: Surroundings) -> list[Panel]:
    """One row for each action, answer and deciding policy, with what it was asked of."""
    reasons = {policy.id: policy.reason for policy in surroundings.policies.policies} if surroundings.policies else {}
    for finding in result.findings:
        reasons.setdefault(str(finding.data.get("policy", "")), finding.message)
    asked: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for decision in _maps(decisions):
        request = decision["request"]
        key = (str(request["action"]), str(decision["decision"]), tuple(map(str, decision["policies"])))
        asked.setdefault(key, []).append(f"{request['resource']['type']} {request['resource']['id']}")
    order = {"refused": 0, "undecided": 1, "allowed": 2}
    rows = tuple(
        _decision(key, things, reasons)
        for key, things in sorted(asked.items(), key=lambda item: (order.get(item[0][1], 3), item[0]))
    )
    if not rows:
        return []
    return [
        Table(
            "Decisions of policy",
            "What was asked of the organisation's policy, and which policy answered",
            ("may it", "of", "answer", "by policy", "because"),
            rows[: generic.MOST_ROWS],
            left_out=max(0, len(rows) - generic.MOST_ROWS),
        )
    ]


def _decision(key: tuple[str, str, tuple[str, ...]], things: list[str], reasons: Mapping[str, str]) -> tuple[Cell, ...]:
    action, answer, policies = key
    tones: Mapping[str, Tone] = {"allowed": "good", "refused": "bad"}
    more = f"\nand {len(things) - _MOST_THINGS} more" if len(things) > _MOST_THINGS else ""
    return (
        Cell(action),
        Cell("\n".join(things[:_MOST_THINGS]) + more, name=True),
        Cell(answer, tone=tones.get(answer, "warn")),
        Cell("\n".join(policies) or "none", name=bool(policies), tone="" if policies else "muted"),
        Cell("\n".join(reasons[policy] for policy in policies if reasons.get(policy)) or "–"),
    )


# -- the bill of materials ---------------------------------------------------------------------------------------


def _sbom(result: CheckResult, _surroundings: Surroundings) -> tuple[list[Panel], set[str]]:
    measured = result.measured
    figures = (
        ("modules imported", Cell(generic.number(len(measured["modules"])))),
        ("of the standard library", Cell(generic.number(measured["standard_library"]))),
        ("distributions", generic.cell(measured["distributions"])),
    )
    names = Table(
        "Modules",
        "Modules that importing and running the node imported",
        ("module",),
        tuple((Cell(str(name), name=True),) for name in measured["modules"][:500]),
        left_out=max(0, len(measured["modules"]) - 500),
        collapsed=True,
    )
    return [Figures("What the runs imported", figures), *([names] if names.rows else [])], {
        "modules",
        "standard_library",
        "distributions",
    }


# -- contract ----------------------------------------------------------------------------------------------------


def _contract(result: CheckResult, surroundings: Surroundings) -> tuple[list[Panel], set[str]]:
    measured = result.measured
    found: list[Panel] = []
    used: set[str] = set()
    inputs = {name: value for name, value in measured.items() if name.startswith("inputs_")}
    if inputs:
        rows = tuple(
            (generic.label(name.removeprefix("inputs_")), generic.cell(value, name)) for name, value in inputs.items()
        )
        found.append(Figures("Inputs made from the types", rows))
        used |= set(inputs)
    answers = measured.get("answers_injected")
    if isinstance(answers, Mapping) and answers:
        found.append(_matrix(answers, result, surroundings))
        used |= {"answers_injected", "upstreams"}
    return found, used


def _matrix(answers: Mapping[str, Any], result: CheckResult, surroundings: Surroundings) -> Table:
    """Each answer of each upstream: what the manifest declares, and what the node did."""
    described = {str(r.get("name")): r for r in _maps(surroundings.manifest.get("resource", []))}
    against = Counter((f.data.get("resource"), f.data.get("answer")) for f in result.findings if f.data.get("answer"))
    rows = []
    for resource, counts in answers.items():
        declared = described.get(resource, {}).get("answers", {})
        for answer, runs in counts.items():
            expected = declared.get(answer)
            words = _expected(expected) if isinstance(expected, Mapping) else "–"
            seen = _answered(int(runs), against[resource, answer], undecided=isinstance(result.verdict, Unknown))
            rows.append((Cell(answer, name=True), Cell(resource, name=True), Cell(words), generic.cell(runs), seen))
    return Table(
        "Answers of upstreams",
        "Each answer that was injected: what the manifest declares, and what the node did",
        ("answer", "upstream", "declared", "runs", "observed"),
        tuple(rows[: generic.MOST_ROWS]),
        left_out=max(0, len(rows) - generic.MOST_ROWS),
    )


def _expected(answer: Mapping[str, Any]) -> str:
    """What the manifest says that the node does."""
    parts = [f"raises {answer.get('error', 'an error')}" if answer.get("outcome") == "error" else "returns a value"]
    if "attempts" in answer:
        parts.append(f"{answer['attempts']} attempt{'' if answer['attempts'] == 1 else 's'}")
    if "within" in answer:
        parts.append(f"within {answer['within']}")
    return ", ".join(parts)


def _answered(runs: int, findings: int, *, undecided: bool) -> Cell:
    if findings:
        return Cell("otherwise: see the findings", tone="bad")
    if not runs:
        return Cell("not injected", tone="muted")
    return Cell("no difference seen", tone="warn") if undecided else Cell("as declared", tone="good")


# -- idempotency -------------------------------------------------------------------------------------------------


def _idempotency(result: CheckResult, _surroundings: Surroundings) -> tuple[list[Panel], set[str]]:
    """Schedules by kind: how many there are, and how many of them were run."""
    measured = result.measured
    planned = {
        name: value for name, value in measured.items() if isinstance(value, Mapping) and {"run", "of"} <= value.keys()
    }
    counted = measured.get("schedules")
    counts = counted if isinstance(counted, Mapping) else {}
    rows = [
        (Cell(generic.label(name)), generic.cell(value["run"]), generic.cell(value["of"]), _extent(value))
        for name, value in planned.items()
    ]
    rows += [
        (Cell(generic.label(str(name))), generic.cell(value), Cell("–", tone="muted"), Cell("–", tone="muted"))
        for name, value in counts.items()
        if name not in planned
    ]
    if not rows:
        return [], set()
    table = Table(
        "Schedules",
        "Orders of delivery, by kind: how many were run, of how many there are",
        ("kind", "run", "of", "so it is"),
        tuple(rows[: generic.MOST_ROWS]),
        left_out=max(0, len(rows) - generic.MOST_ROWS),
    )
    return [table], {*planned, *(["schedules"] if counts else [])}


def _extent(planned: Mapping[str, Any]) -> Cell:
    if planned["run"] == planned["of"]:
        return Cell("exhaustive", tone="good")
    return Cell("sampled", tone="warn")


def _maps(values: Any) -> list[Mapping[str, Any]]:
    if not isinstance(values, list | tuple) or not all(isinstance(value, Mapping) for value in values):
        raise TypeError("not a list of maps")
    return list(values)


_READERS: Final[Mapping[str, _Reader]] = {
    "C-EFFECTS": _effects,
    "C-DETERMINISM": _determinism,
    "C-CONTRACT": _contract,
    "C-IDEM": _idempotency,
    "C-BUDGET": _budget,
    "C-POLICY": _policy,
    "C-SBOM": _sbom,
}
