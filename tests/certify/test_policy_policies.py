"""Policies: what is loaded decides, and what would not decide is refused where it is written."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from certify.codec import decode, encode
from certify.policy.policies import PolicySet, load_policies
from certify_spec.diagnostics import RequestError

HEAD = '@id("own")\n@reason("r")\n@fix("f")\n'
OWN = HEAD + 'forbid (principal, action == Action::"publish", resource)\nwhen { principal.owner == "" };\n'


def written(folder: Path, text: str = OWN, settings: str = "") -> Path:
    """A folder of policies."""
    (folder / "own.cedar").write_text(text, encoding="utf-8")
    if settings:
        (folder / "policy.toml").write_text(settings, encoding="utf-8")
    return folder


def refusal(path: Path) -> list[tuple[str, str, int, int]]:
    """Code, file name, line and column of each problem."""
    with pytest.raises(RequestError) as caught:
        load_policies(path)
    found = [(d.code, d.place) for d in caught.value.diagnostics]
    return [(code, Path(p.file).name, p.line, p.column) for code, p in found if p is not None]


def test_the_shipped_policies_load_and_say_everything() -> None:
    """C-POLICY: each shipped policy has an id, a reason and, if it forbids, a fix."""
    policies = load_policies().policies
    assert len(policies) > 25
    assert [p.id for p in policies if not p.reason or (p.effect == "forbid" and not p.fix)] == []


def test_every_kind_of_question_is_permitted_by_one_shipped_policy() -> None:
    """C-POLICY: what Cedar refuses by default is permitted by name, and each concern forbids by itself."""
    permits = [policy.id for policy in load_policies().policies if policy.effect == "permit"]
    assert len(permits) == 8


def test_own_policies_are_added_and_replace_by_id(tmp_path: Path) -> None:
    """C-POLICY: an organisation's policy joins the shipped ones; one with a shipped id takes its place."""
    text = OWN + OWN.replace('"own"', '"egress-allowed"')
    policies = load_policies(written(tmp_path, text)).policies
    assert len(policies) == len(load_policies().policies) + 1
    assert next(p for p in policies if p.id == "egress-allowed").place.file.endswith("own.cedar")


def test_a_single_file_reads_the_settings_beside_it(tmp_path: Path) -> None:
    """C-POLICY: one .cedar file is a set too."""
    folder = written(tmp_path, settings='schema = 1\ncurrency = "USD"\n')
    assert load_policies(folder / "own.cedar").settings.currency == "USD"


def test_a_shipped_policy_is_left_out_by_name_only(tmp_path: Path) -> None:
    """C-POLICY: leaving out is explicit; a wrong name is an error at its place."""
    kept = load_policies(written(tmp_path, settings='schema = 1\ndefaults.leave_out = ["trust-allowed"]\n'))
    assert "trust-allowed" not in kept.texts
    written(tmp_path, settings='schema = 1\n[defaults]\nleave_out = [\n  "trust-allowed",\n  "no-such",\n]\n')
    assert refusal(tmp_path) == [("POL009", "policy.toml", 5, 3)]


def test_the_digest_covers_text_and_settings_and_no_path(tmp_path: Path) -> None:
    """C-POLICY: equal policies in two folders have one digest; a changed ceiling has another."""
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    for folder in (one, two, three):
        folder.mkdir()
    same = {load_policies(written(one)).digest, load_policies(written(two)).digest}
    other = load_policies(written(three, settings='schema = 1\nceiling.cpu = "61s"\n')).digest
    assert (len(same), other in same, load_policies().digest in same) == (1, False, False)


def test_a_set_survives_evidence_and_process_boundaries(tmp_path: Path) -> None:
    """C-POLICY: read back from canonical bytes, or from another process, a set has the same digest."""
    policies = load_policies(written(tmp_path))
    again = PolicySet.from_data(decode(encode(policies.to_data())))
    assert {again.digest, pickle.loads(pickle.dumps(policies)).digest} == {policies.digest}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEAD + "forbid (principal, action, resource)\nwhen { context.cost > };\n", ("POL002", 5, 23)),
        (HEAD + "forbid (principal, action, resource) when { 1 # 2 };", ("POL002", 4, 47)),
        ("// fine so far\n\n  forbidd (principal, action, resource);", ("POL002", 3, 3)),
        (HEAD + "forbid (principal, action, resource)", ("POL002", 4, 37)),
        (HEAD + '// it"s a comment;\nforbid (principal, action resource);', ("POL002", 5, 27)),
        (HEAD + '@id("b") forbid (principal, action, resource);', ("POL002", 1, 1)),
        (OWN.replace("principal.owner", "principal.ownr"), ("POL003", 5, 18)),
        (OWN.replace('== ""', "== 1"), ("POL003", 1, 1)),
        (OWN.replace('"publish"', '"fly"'), ("POL003", 4, 29)),
        (OWN.replace('@id("own")\n', ""), ("POL004", 1, 1)),
        (OWN.replace('@id("own")', '@id("")'), ("POL004", 1, 1)),
        (OWN.replace('@id("own")', "@id"), ("POL004", 1, 1)),
        (OWN.replace('@id("own")', '@id("Own Policy")'), ("POL004", 1, 1)),
        (OWN.replace('@reason("r")', '@reason(" ")'), ("POL004", 1, 1)),
        (OWN.replace('@fix("f")\n', ""), ("POL004", 1, 1)),
        (OWN + "\n" + OWN, ("POL005", 7, 1)),
        (OWN.replace("(principal,", "(principal == ?principal,"), ("POL006", 1, 1)),
        (HEAD + "forbid (principal, action, resource) when { false };", ("POL010", 1, 1)),
        (HEAD + "forbid (principal, action, resource) when { 1 + 1 == 3 };", ("POL010", 1, 1)),
        ("\ufeff" + OWN, ("POL002", 1, 1)),
    ],
)
def test_a_wrong_policy_is_refused_at_its_place(tmp_path: Path, text: str, expected: tuple[str, int, int]) -> None:
    """C-POLICY: each kind of mistake has its code, line and column."""
    code, line, column = expected
    found = refusal(written(tmp_path, text))
    if code == "POL003":
        assert (code, line) in {(each[0], each[2]) for each in found}
    else:
        assert (code, "own.cedar", line, column) in found


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    """C-POLICY: several files and the settings, wrong in several ways, one report."""
    (tmp_path / "b.cedar").write_text("permit (principal, action, resource);\nforbid (", encoding="utf-8")
    written(tmp_path, OWN.replace("owner", "ownr"), 'schema = 1\ncurency = "EUR"\n')
    codes = {each[0] for each in refusal(tmp_path)}
    assert codes == {"POL002", "POL003", "POL004", "POL007"}


@pytest.mark.parametrize("name", ["own.ceder", "more/own.cedar", "own.cedar~", "policy.yaml", ".hidden.cedar.swp"])
def test_a_file_that_would_be_skipped_is_refused(tmp_path: Path, name: str) -> None:
    """C-POLICY: a policy that nobody reads is an error, not a silent gap."""
    written(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(OWN, encoding="utf-8")
    assert refusal(tmp_path) == [("POL008", name.partition("/")[0], 1, 1)]


def test_documentation_beside_policies_is_welcome(tmp_path: Path) -> None:
    """C-POLICY: a README among the policies is no mistake."""
    written(tmp_path)
    (tmp_path / "README.md").write_text("why", encoding="utf-8")
    assert "own" in load_policies(tmp_path).texts


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """C-POLICY: a missing path, an empty folder, other bytes than UTF-8, decomposed text, and a huge file."""
    assert refusal(tmp_path / "none")[0][0] == "POL001"
    assert refusal(tmp_path)[0][0] == "POL001"
    file = tmp_path / "own.cedar"
    file.write_bytes(b"// fine\n// \xff\n")
    assert refusal(file) == [("POL001", "own.cedar", 2, 1)]
    file.write_text("// caf" + "e\u0301", encoding="utf-8")
    assert refusal(file)[0][:3] == ("POL001", "own.cedar", 1)
    file.write_text("//" + "x" * 2**20, encoding="utf-8")
    assert refusal(file)[0][0] == "POL001"


@pytest.mark.parametrize(
    ("settings", "line", "column"),
    [
        ('currency = "EUR"\n', 1, 1),
        ("schema = 2\n", 1, 10),
        ('schema = 1\ncurrency = "euro"\n', 2, 12),
        ("schema = 1\n[ceiling]\ncpu = 60\n", 3, 7),
        ('schema = 1\n[ceiling]\ncpu = "soon"\n', 3, 7),
        ("schema = 1\n[ceiling]\ntokens = -1\n", 3, 10),
        ("schema = 1\n[ceiling]\ntokens = true\n", 3, 10),
        ("schema = 1\n[ceiling]\nprocessors = inf\n", 3, 14),
        ('schema = 1\n[egress]\nallow = ["https://ok.example", "evil.example/path"]\n', 3, 32),
        ('schema = 1\n[egress]\nplain_http = ["http://x"]\n', 3, 15),
        ("schema = 1\n[egres]\nallow = []\n", 2, 2),
        ("schema = 1\negress = 3\n", 2, 10),
        ("schema = 1\ncurrency = \n", 2, 12),
        ("schema = 1\nx = " + "[" * 200 + "]" * 200 + "\n", 2, 37),
        ("schema = 1\nx = " + "9" * 5000 + "\n", 1, 1),
    ],
)  # fmt: skip
def test_wrong_settings_are_refused_at_their_place(tmp_path: Path, settings: str, line: int, column: int) -> None:
    """C-POLICY: every mistake in policy.toml has a line and a column."""
    found = refusal(written(tmp_path, settings=settings))
    assert found[0][:3] == ("POL007", "policy.toml", line)
    assert found[0][3] == column
