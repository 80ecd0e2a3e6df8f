"""The front end: what it understands it hands to the kernel, what it does not know it declines with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from certify_spec.diagnostics import RequestError
from certify_verifier.lean import Accepted, Declined, LeanReport, Rejected
from certify_verifier.lean.front.lexer import Kind, tokenize
from certify_verifier.lean.source import check_source, check_text, check_texts

DATA = Path(__file__).parent / "data"
SAMPLES = sorted((DATA / "samples").glob("*.lean"))


def outcome(report: LeanReport) -> str:
    """The code and place of a rejection, the reason of a decline, or accepted."""
    verdict = report.verdict
    if isinstance(verdict, Rejected):
        return f"{verdict.reason.code} {verdict.reason.place}"
    return f"declined {verdict.reason}" if isinstance(verdict, Declined) else "accepted"


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_samples_are_judged_as_by_lean(path: Path) -> None:
    """A real Lean accepts the `ok_` files and refuses the `bad_` ones; so does this checker."""
    report = check_source(path)
    if path.stem.startswith("ok_"):
        assert report.verdict == Accepted()
    else:
        assert isinstance(report.verdict, Rejected)


BAD_CODES = {
    "bad_elim": "LEAN305",
    "bad_false": "LEAN305",
    "bad_missing_case": "LEAN307",
    "bad_positivity": "LEAN222",
    "bad_rfl": "LEAN305",
    "bad_termination": "LEAN309",
    "bad_universe": "LEAN224",
}


@pytest.mark.parametrize("stem", BAD_CODES)
def test_bad_samples_are_refused_for_their_reason(stem: str) -> None:
    """Each `bad_` sample breaks one rule, and is refused with that rule's code."""
    assert outcome(check_source(DATA / "samples" / f"{stem}.lean")).split()[0] == BAD_CODES[stem]


def test_the_supported_language_is_accepted() -> None:
    """Structures, families, nested patterns, indices, calculations, recursion and notation, each used once."""
    report = check_source(DATA / "language.lean")
    assert report.verdict == Accepted()
    assert len(report.theorems) >= 13
    assert report.axioms == ()


WRONG: list[tuple[str, str, str]] = [
    ("tab", "def a : Nat :=\t0", "LEAN301 x:1:15"),
    ("open comment", "/- never", "LEAN301 x:1:1"),
    ("open string", 'def a := "b', "LEAN301 x:1:10"),
    ("no value", "def a : Nat", "LEAN302 x:1:12"),
    ("no command", "a", "LEAN302 x:1:1"),
    ("function of nothing", "def a : Nat → Nat := fun => 0", "LEAN302 x:1:26"),
    ("unclosed bracket", "def a : Nat := (0", "LEAN302 x:1:18"),
    ("chain of comparisons", "theorem t : 0 = 0 = 0 := rfl", "LEAN302 x:1:19"),
    ("theorem without type", "theorem t := rfl", "LEAN302 x:1:1"),
    ("unknown name", "def a : Nat := b", "LEAN303 x:1:16"),
    ("unknown constructor", "def a : Nat → Nat\n  | Nat.nought => 0", "LEAN303 x:2:5"),
    ("unknown universe", "def a : Type v := Prop", "LEAN303 x:1:14"),
    ("unknown field", "def a (p : Nat × Nat) : Nat := p.third", "LEAN303 x:1:32"),
    ("unknown namespace", "open Nowhere", "LEAN303 x:1:1"),
    ("proof by a variable that the statement hides",
     "variable (h : False)\ntheorem t : 0 = 1 := h.elim", "LEAN303 x:2:1"),
    ("wrong type", "def a : Nat := Type", "LEAN305 x:1:16"),
    ("wrong argument", "def a : Nat := Nat.succ Nat", "LEAN305 x:1:25"),
    ("wrong proof", "theorem t : 1 + 1 = 3 := rfl", "LEAN305 x:1:26"),
    ("wrong binder", "def a : Nat → Nat := fun (x : Bool) => 0", "LEAN305 x:1:27"),
    ("wrong show", "theorem t : True := show False from trivial", "LEAN305 x:1:37"),
    ("nothing known", "def a := fun x => x", "LEAN306 x:1:14"),
    ("constructor of unknown type", "def a := ⟨0, 1⟩", "LEAN306 x:1:10"),
    ("missing number", "def a : Nat → Nat\n  | 0 => 1\n  | 1 => 2", "LEAN307 x:1:1"),
    ("missing nested case", "def a : Option (Option Nat) → Nat\n  | none => 0\n  | some none => 1", "LEAN307 x:1:1"),
    ("nomatch on something possible", "theorem t (h : True) : False := nomatch h", "LEAN307 x:1:33"),
    ("redundant case", "def a : Bool → Nat\n  | _ => 1\n  | true => 2", "LEAN308 x:3:3"),
    ("case twice", "def a : Bool → Nat\n  | true => 1\n  | false => 0\n  | true => 2", "LEAN308 x:4:3"),
    ("calls itself", "theorem t : False := t", "LEAN309 x:1:22"),
    ("sorry", "theorem t : False := sorry", "LEAN310 x:1:22"),
    ("sorry deep inside", "theorem t : 0 = 0 := (fun (_ : False) => rfl) sorry", "LEAN310 x:1:47"),
    ("pattern of another type", "def a : Nat → Nat\n  | Bool.true => 1\n  | _ => 2", "LEAN311 x:2:5"),
    ("too many fields", "def a : Nat → Nat\n  | 0 => 1\n  | Nat.succ n m => 2", "LEAN311 x:3:5"),
    ("too many patterns", "def a : Nat → Nat\n  | 0, 1 => 1\n  | _, _ => 2", "LEAN311 x:2:3"),
    ("name twice in a pattern", "def a : Nat × Nat → Nat\n  | (n, n) => n", "LEAN311"),
    ("too many arguments", "def a : Nat := Nat.succ 0 0", "LEAN312 x:1:16"),
    ("unknown named argument", "def a : Nat := Nat.succ (m := 0)", "LEAN312 x:1:16"),
    ("data out of a proof", "def a (h : ∃ n : Nat, True) : Nat :=\n  match h with\n  | ⟨n, _⟩ => n", "LEAN313 x:2:3"),
    ("data out of a disjunction", "def a (h : True ∨ True) : Nat :=\n  match h with\n  | .inl _ => 0\n  | .inr _ => 1",
     "LEAN313 x:2:3"),
    ("wrong end", "namespace A\nend B", "LEAN314 x:2:1"),
    ("never ended", "namespace A", "LEAN314 x:1:1"),
    ("name twice", "def a := 0\ndef a := 1", "LEAN200 x:2:1"),
    ("axiom", "axiom a : False\ntheorem t : 0 = 1 := a.elim", "LEAN243 x:2:1"),
    ("argument of an argument", "structure S where\n  f : (S → False) → Nat", "LEAN222 x:1:1"),
    ("negative structure", "structure S where\n  f : S → False", "LEAN222 x:1:1"),
    ("rests on refused", "theorem a : False := trivial\ntheorem b : False := a", "LEAN305 x:1:22"),
    ("recursion through a negation",
     "inductive B where\n  | mk (f : (B → False) → False) : B", "LEAN222 x:1:1"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "source", "expected"), WRONG, ids=[w[0] for w in WRONG])
def test_wrong_source_is_refused_with_its_place(what: str, source: str, expected: str) -> None:
    """What breaks the language or the theory is refused with code, line and column."""
    del what
    assert outcome(check_text(source, "x")).startswith(expected)


UNKNOWN: list[tuple[str, str, str]] = [
    ("tactics", "theorem t : True := by trivial", "x:1:21: tactics (`by`)"),
    ("show by", "theorem t : True := show True by trivial", "x:1:31: tactics (`by`)"),
    ("if", "def a (b : Bool) : Nat := if b then 1 else 0", "x:1:27: `if`"),
    ("do", "def a : Option Nat := do return 1", "x:1:23: `do`"),
    ("classes", "class A (α : Type) where\n  x : α", "x:1:1: the command `class`"),
    ("instances", "def a [h : Nonempty Nat] : Nat := 0", "x:1:7: instance arguments"),
    ("deriving", "inductive A where\n  | a\n  deriving Repr", "x:3:3: `deriving`"),
    ("termination", "def f : Nat → Nat\n  | 0 => 0\n  | n + 1 => f n\ntermination_by n => n",
     "x:4:1: `termination_by`"),
    ("extends", "structure A extends Nat", "x:1:13: `extends`"),
    ("macros", 'macro "x" : term => `(0)', "x:1:1: the command `macro`"),
    ("partial", "partial def f (n : Nat) : Nat := f n", "x:1:1: `partial`"),
    ("unsafe", "unsafe def f : False := f", "x:1:1: `unsafe`"),
    ("eval", "#eval 1", "x:1:1: the command `#eval`"),
    ("attributes", "@[csimp] theorem t : True := trivial", "x:1:3: the attribute `csimp`"),
    ("rewriting", "theorem t (a b : Nat) (h : a = b) : b = a := h ▸ rfl", "x:1:48: the operator `▸`"),
    ("deep recursion", "def fib : Nat → Nat\n  | 0 => 0\n  | 1 => 1\n  | n + 2 => fib (n + 1) + fib n",
     "x:4:14: recursion that is not on a direct part"),
    ("recursion through match", "def f (n : Nat) : Nat :=\n  match n with\n  | 0 => 0\n  | m + 1 => f m",
     "x:4:14: recursion through `match`"),
    ("native_decide", "set_option maxRecDepth 1", "x:1:1: the command `set_option`"),
    ("strings", 'theorem t : "a" = "a" := rfl', "x:1:13: a string"),
    ("import", "import Certify.Category\ntheorem t : True := trivial", "x:1:1: `import Certify.Category`"),
    ("import in the middle", "def a := 0\nimport B", "x:2:1: `import`"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "source", "expected"), UNKNOWN, ids=[u[0] for u in UNKNOWN])
def test_unknown_constructs_are_declined_with_their_place(what: str, source: str, expected: str) -> None:
    """What may be right but is not supported is declined with file, line and column, never accepted."""
    del what
    found = outcome(check_text(source, "x"))
    assert found.startswith("declined ")
    assert expected in found


def test_later_declarations_are_still_judged() -> None:
    """After a refusal the rest of the file is looked at, and the file is refused as a whole."""
    report = check_text("theorem a : False := trivial\ntheorem b : True := trivial", "x")
    assert [type(entry.verdict) for entry in report.entries] == [Rejected, Accepted]
    assert isinstance(report.verdict, Rejected)


def test_nothing_rests_on_a_refused_theorem() -> None:
    """A theorem that uses a refused one is refused too."""
    report = check_text("theorem a : False := trivial\ntheorem b : 0 = 1 := a.elim", "x")
    assert [type(entry.verdict) for entry in report.entries] == [Rejected, Rejected]


def test_sentences_come_from_doc_comments() -> None:
    """The English sentence of a theorem is its doc comment."""
    report = check_text("/-- Truth\n  holds. -/\ntheorem t : True := trivial", "x")
    assert [entry.sentence for entry in report.theorems] == ["Truth holds."]


def test_files_see_what_stands_before_them() -> None:
    """Texts checked together share declarations, in order; each has its own report."""
    first, second = check_texts([("a", "def one : Nat := 1"), ("b", "import a\ntheorem t : one = 1 := rfl")])
    assert (first.verdict, second.verdict) == (Accepted(), Accepted())
    assert [entry.name for entry in second.entries] == ["t"]


def test_an_empty_file_is_accepted_and_proves_nothing() -> None:
    """A file without commands has no theorems."""
    report = check_text("-- nothing\n", "x")
    assert (report.verdict, report.theorems) == (Accepted(), ())


def test_axioms_of_the_core_library_are_listed() -> None:
    """A proof by function extensionality rests on the quotient's axiom, and says so."""
    report = check_text("theorem t {f g : Nat → Nat} (h : ∀ x, f x = g x) : f = g := funext h", "x")
    assert (report.verdict, report.axioms) == (Accepted(), ("Quot.sound",))


def test_a_missing_source_is_a_wrong_request(tmp_path: Path) -> None:
    """A file that cannot be read is a wrong request, not a verdict."""
    with pytest.raises(RequestError):
        check_source(tmp_path / "nothing.lean")
    (tmp_path / "latin.lean").write_bytes(b"def \xff := 0")
    with pytest.raises(RequestError):
        check_source(tmp_path / "latin.lean")


def test_deeply_nested_source_is_not_accepted() -> None:
    """A hundred thousand brackets end in a decline or refusal, without a traceback."""
    report = check_text("def a : Nat := " + "(" * 100_000 + "0", "x")
    assert report.verdict != Accepted()


def test_tokens_know_their_place() -> None:
    """Fields, short names and quoted names are told apart, and lines and columns count from one."""
    tokens = tokenize("a.b.1 .c\n «d e».f")
    assert [(t.kind, t.text, t.spot.line, t.spot.column) for t in tokens[:-1]] == [
        (Kind.IDENT, "a.b", 1, 1),
        (Kind.FIELD, "1", 1, 4),
        (Kind.SHORT, "c", 1, 7),
        (Kind.IDENT, "«d e».f", 2, 2),
    ]
