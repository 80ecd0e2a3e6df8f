"""C-POLICY: hosts, scopes, regions, data classes and what was really sent, against the organisation's policy.

Rules this module keeps:

- every refusal is decided by `certify.policy.evaluation`, and its finding names the policy and the evidence it read;
- a policy that could not be evaluated, or a run that could not be observed in full, leaves the check unknown: it never
  passes, and no waiver covers it;
- the questions and their answers are in the result, so that anyone can put them to the same policies again.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, assert_never

from certify.checks.workbench import Check, Workbench
from certify.evidence.verdict import CheckResult, Failed, Passed, Unknown, Verdict
from certify.laboratory.record import Delivery, Fault, Observe, Plan, Raised, Returned, RunRecord, planted
from certify.manifest.model import DataClass, Manifest, ResourceKind
from certify.manifest.positions import Positions, TooDeep, index
from certify.policy import facts, rules
from certify.policy.classes import Side, class_findings, field_count
from certify.policy.disclosure import Disclosure, Sensitive, Sent, disclosures, secrets_in, sensitive_values, texts_in
from certify.policy.evaluation import Allowed, PolicyRequest, Refused, Undecided, evaluate, plain
from certify.policy.facts import Origin, Question
from certify.policy.observation import sent_in, unread_in
from certify.policy.personal import signs_of_credential
from certify.policy.policies import PolicySet
from certify.subject import Subject
from certify_spec.diagnostics import Diagnostic, Place, Rule, Severity, in_order

CHECK: Final = "C-POLICY"

RETURNED: Final = Rule(
    "POL113", "A credential is in the node's output.", "Return a reference to the credential, or nothing."
)
LOGGED: Final = Rule(
    "POL114",
    "A credential was logged, printed, stored, or put into the text of what was raised.",
    "Log the name of the credential, never its value.",
)
UNSEARCHED: Final = Rule(
    "POL115",
    "A stored value was too long to be searched for sensitive data.",
    "Give a fixture in which it is at most 4 KiB, so that it can be searched.",
)
IN_URL: Final = Rule(
    "POL116",
    "A credential is in the URL of a request.",
    "Send it in a header: URLs are kept in logs and caches.",
)
UNOBSERVED: Final = Rule(
    "POL121",
    "A run could not be observed in full, so nothing is decided.",
    "Run the check again, or shorten the fixture.",
)


def make_check(policies: PolicySet) -> Check:
    """C-POLICY by these policies."""

    def check(bench: Workbench) -> CheckResult:
        begun = time.monotonic()
        result = _judged(bench, policies)
        return CheckResult(
            CHECK, result.verdict, result.findings, result.measured, result.artefacts, time.monotonic() - begun
        )

    return check


def origin_of(subject: Subject, policies: PolicySet) -> Origin:
    """The manifest with the places of its keys; without them when the file can no longer be read."""
    try:
        positions = index((subject.root / subject.manifest_file).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, TooDeep):
        positions = Positions()
    return Origin(subject.manifest, subject.manifest_file, positions, policies.settings)


#: Answers of an upstream upon which a node says what went wrong, and may say too much.
_FAILURES: Final = (
    ("401", Fault("", "status", status=401, body=b'{"error": "unauthorised"}')),
    ("500", Fault("", "status", status=500, body=b'{"error": "internal"}')),
    ("a malformed answer", Fault("", "malformed")),
)
_CREDENTIAL_NAME: Final = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|(?:^|_)KEY", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Run:
    """One fixture's run: the input as a value, and the record; `when` says how an upstream failed, if one did."""

    fixture: str
    value: object
    record: RunRecord
    when: str = ""

    @property
    def name(self) -> str:
        """What findings call it."""
        return f"fixture `{self.fixture}`" + (f" when {self.when}" if self.when else "")


def _judged(bench: Workbench, policies: PolicySet) -> CheckResult:
    origin = origin_of(bench.subject, policies)
    signature = bench.laboratory.signature()
    runs = list(_runs(bench))
    try:
        sides = _sides(bench, origin, runs, signature.input_schema, signature.output_schema)
        findings = [finding for side in sides for finding in class_findings(origin, side)]
        counts = {f"{side.name}_fields": field_count(side) for side in sides}
    except ValueError as error:
        return CheckResult(CHECK, Unknown(f"the node's types cannot be read: {error}"))
    questions = list(_questions(bench, origin, runs))
    answers = [(question, evaluate(policies, question.request)) for question in questions]
    findings += [finding for question, decision in answers for finding in refusals(question, decision)]
    for run in (*runs, *_failing(bench)):
        findings += [*_credential_findings(origin, run), *_unobserved(origin, run)]
    findings = list(in_order(_one_each(findings)))
    measured = {
        "policies": policies.digest,
        **counts,
        "hosts": sorted(
            {question.request.resource.id for question in questions if question.request.action == "connect"}
        ),
        "scopes": sorted({q.request.resource.id for q in questions if q.request.action == "hold"}),
        "regions": sorted({q.request.resource.id for q in questions if q.request.action == "store"}),
        "disclosures": [dict(question.evidence) for question in questions if question.request.action == "send"],
        "decisions": [decided(question.request, decision) for question, decision in answers],
    }
    return CheckResult(CHECK, verdict_of(findings), tuple(findings), measured)


def verdict_of(findings: Iterable[Diagnostic]) -> Verdict:
    """Failed for any error; unknown when all errors say no more than that something could not be decided."""
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if not errors:
        return Passed()
    if all(finding.data.get("undecided") for finding in errors):
        return Unknown("; ".join(dict.fromkeys(finding.message for finding in errors)))
    return Failed()


def _runs(bench: Workbench) -> Iterator[Run]:
    """One run of each fixture: C-SANDBOX's will do."""
    plans = [Plan((Delivery(content),), observe=Observe.CALLS) for content in bench.fixtures.values()]
    records = bench.laboratory.remembered(plans)
    for done, ((fixture, content), record) in enumerate(zip(bench.fixtures.items(), records, strict=True)):
        bench.progress(done + 1, len(plans))
        yield Run(fixture, _json(content), record)


def _failing(bench: Workbench) -> Iterator[Run]:
    """Runs of the first fixture in which an upstream fails: what is raised then ends up in somebody's logs."""
    upstreams = [r.name for r in bench.subject.manifest.resource if r.kind is ResourceKind.HTTP]
    cases = [(upstream, what, replace(fault, upstream=upstream)) for upstream in upstreams for what, fault in _FAILURES]
    fixture, content = next(iter(bench.fixtures.items()), ("", b""))
    if not fixture:
        return
    plans = [Plan((Delivery(content),), faults=(fault,)) for _upstream, _what, fault in cases]
    for (upstream, what, _fault), record in zip(cases, bench.laboratory.remembered(plans), strict=True):
        yield Run(fixture, _json(content), record, f"`{upstream}` gives {what}")


def _json(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _sides(
    bench: Workbench,
    origin: Origin,
    runs: list[Run],
    input_schema: Mapping[str, Any],
    output_schema: Mapping[str, Any],
) -> tuple[Side, Side]:
    inputs = tuple((run.fixture, run.value) for run in runs)
    outputs = [(name, _json(content)) for name, content in bench.expected.items()]
    outputs += [(run.fixture, _json(answer.json)) for run in runs for answer in _returned(run)]
    return (
        Side("input", input_schema, origin.manifest.input.classes, inputs),
        Side("output", output_schema, origin.manifest.output.classes, tuple(outputs)),
    )


def _returned(run: Run) -> Iterator[Returned]:
    return (outcome for outcome in run.record.outcomes if isinstance(outcome, Returned))


def _questions(bench: Workbench, origin: Origin, runs: list[Run]) -> Iterator[Question]:
    records = [run.record for run in runs]
    yield facts.about_node(origin, bench.earlier)
    yield from facts.about_hosts(origin, records)
    yield from facts.about_scopes(origin)
    yield from facts.about_regions(origin)
    yield from facts.about_fields(origin)
    yield from facts.about_trusts(origin)
    asked: set[str] = set()
    for run in runs:
        sensitive = sensitive_values(run.value, origin.manifest.input.classes)
        for found in disclosures(sensitive, sent_in(run.record, origin.manifest)):
            question = facts.about_disclosure(origin, found, run.fixture)
            if question.about not in asked:
                asked.add(question.about)
                yield question


def refusals(question: Question, decision: Allowed | Refused | Undecided) -> Iterator[Diagnostic]:
    """One finding for each policy that refuses, and one for each that could not be evaluated."""
    match decision:
        case Allowed():
            return
        case Refused(found, errors):
            for refusal in found:
                yield Diagnostic(
                    rules.REFUSALS[question.request.action],
                    f"{question.about}: {refusal.reason}",
                    question.place,
                    because=f"policy `{refusal.policy}` refuses, on {_shown(question.evidence)}"
                    if refusal.policy
                    else f"nothing permits it; asked on {_shown(question.evidence)}",
                    fix=refusal.fix,
                    notes=question.notes,
                    data={"about": question.about, "policy": refusal.policy, "evidence": dict(question.evidence)},
                )
        case Undecided(errors):
            pass
        case _:
            assert_never(decision)
    for error in errors:
        yield Diagnostic(
            rules.UNDECIDED,
            f"{question.about}: {error}",
            question.place,
            because="Cedar skips a policy that it cannot evaluate, and a skipped policy forbids nothing",
            fix=rules.UNDECIDED.advice,
            data={"about": question.about, "undecided": True, "waivable": False},
        )


def decided(request: PolicyRequest, decision: Allowed | Refused | Undecided) -> dict[str, Any]:
    """A question and its answer, as evidence."""
    data: dict[str, Any] = {"request": request.to_data()}
    match decision:
        case Allowed(by):
            return data | {"decision": "allowed", "policies": list(by)}
        case Refused(found, errors):
            return data | {"decision": "refused", "policies": [each.policy for each in found], "errors": list(errors)}
        case Undecided(errors):
            return data | {"decision": "undecided", "policies": [], "errors": list(errors)}
        case _:
            assert_never(decision)


def differences(policies: PolicySet, result: CheckResult) -> tuple[str, ...]:
    """Decisions in a result of this check, or of C-BUDGET, that `policies` would decide otherwise: the re-check.

    Returns:
        one line for each difference; empty when everything is decided as it was.
    """
    same = result.measured.get("policies") == policies.digest
    lines = [] if same else ["the policies are not those of the evidence"]
    for recorded in result.measured.get("decisions", ()):
        request = PolicyRequest.from_data(recorded["request"])
        now = decided(request, evaluate(policies, request))
        if (now["decision"], now["policies"]) != (recorded["decision"], list(recorded["policies"])):
            what = f"{request.action} {request.resource.id}"
            lines.append(f"{what}: was {recorded['decision']}, is {now['decision']} by {', '.join(now['policies'])}")
    return tuple(lines)


def _shown(evidence: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in evidence.items())


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return "(" + _shown(value) + ")"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    return str(value) or '""'


def _credential_findings(origin: Origin, run: Run) -> Iterator[Diagnostic]:
    """Credentials in the output, in logs and prints, in stores and URLs: by form, and by the placeholder of a secret.

    Values of tagged fields are looked for in the output alone: elsewhere their class is asked of policy.
    """
    credentials = [
        value
        for value in sensitive_values(run.value, origin.manifest.input.classes)
        if value.data_class is DataClass.CREDENTIAL
    ]
    entry = origin.key(("output",))
    for answer in _returned(run):
        output = Sent("output", "output", "the output", answer.json)
        for what in _credentials_in(output, credentials, dict(_planted(origin.manifest))):
            yield _credential(RETURNED, f"the output holds {what}", entry, run, output)
    planted_ones = dict(_planted(origin.manifest))
    for sent in (*sent_in(run.record, origin.manifest), *_raised(run)):
        if sent.kind == "http" and not sent.in_url:
            continue  # there a credential is what the upstream asks for
        for what in _credentials_in(sent, credentials if sent.kind in {"raised", "http"} else [], planted_ones):
            place = sent.place or origin.key(("node", "entry"))
            yield _credential(IN_URL if sent.in_url else LOGGED, f"{plain(sent.part)} holds {what}", place, run, sent)


def _raised(run: Run) -> Iterator[Sent]:
    """The texts of what the node raised."""
    for outcome in run.record.outcomes:
        if isinstance(outcome, Raised) and not outcome.rejected:
            place = outcome.frames[-1] if outcome.frames else None
            content = outcome.message.encode("utf-8", "replace")
            yield Sent("what it raised", "raised", f"the text of {outcome.type}", content, place)


def _planted(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Names and laboratory values of the variables that hold credentials."""
    for resource in manifest.resource:
        for name in resource.variables:
            if resource.kind is ResourceKind.SECRETS or _CREDENTIAL_NAME.search(name):
                yield name, planted(name)


def _credentials_in(sent: Sent, values: list[Sensitive], secrets: Mapping[str, str]) -> Iterator[str]:
    for found in disclosures(values, [sent]):
        yield _named(found)
    for name in secrets_in(sent.content):
        yield f"the secret `{plain(name)}`"
    seen: set[str] = set()
    for text in texts_in(sent.content):
        signs = [f"the secret `{plain(name)}`" for name, value in secrets.items() if value in text]
        for what in (*signs, *(sign.what for sign in signs_of_credential(text))):
            if what not in seen:
                seen.add(what)
                yield what


def _named(found: Disclosure) -> str:
    return f"the value of the input field `{plain(found.sensitive.path)}` ({found.form})"


def _credential(rule: Rule, message: str, place: Place, run: Run, sent: Sent) -> Diagnostic:
    return Diagnostic(
        rule,
        message,
        place,
        because=f"seen in the run of {run.name}",
        fix=rule.advice,
        data={"about": message, "fixture": run.fixture, "resource": sent.resource},
    )


def _unobserved(origin: Origin, run: Run) -> Iterator[Diagnostic]:
    for event in unread_in(run.record):
        yield Diagnostic(
            UNSEARCHED,
            f"what was written to {plain(event.target)} is recorded by its digest alone",
            event.place or origin.key(("node", "entry")),
            fix=UNSEARCHED.advice,
            severity=Severity.WARNING,
            data={"about": f"content of {plain(event.target)}", "fixture": run.fixture},
        )
    reason = run.record.incomplete or ("" if run.record.outcomes else "the run has no outcome")
    if reason:
        yield Diagnostic(
            UNOBSERVED,
            f"the run of {run.name} was not observed in full: {plain(reason)}",
            origin.key(("fixture",)),
            fix=UNOBSERVED.advice,
            data={"about": f"fixture {run.fixture}", "undecided": True, "waivable": False},
        )


def _one_each(findings: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """The findings without those that another fixture gave already."""
    seen: set[tuple[str, object, str]] = set()
    for finding in findings:
        key = (finding.code, finding.place, finding.message)
        if key not in seen:
            seen.add(key)
            yield finding
