"""Parsing: recovery, bounds, and texts that nobody would write."""

import random
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certify_spec import syntax as s
from certify_spec.loader import examine_text
from certify_spec.parser import MAX_NESTING, parse
from certify_spec.tokens import tokenize

GOOD = """machine Door
param patience : Duration where patience > 0
sort Guest
enum Mode { closed, open }
clock now
var mode : Mode = closed
var opened : Instant = 0
var inside : Set[Guest] in 0 .. 3 = empty
action enter(g: Guest) when mode == closed and g not in inside { mode := open; inside := insert(inside, g) }
fair action shut when mode == open and now - opened >= patience { if true { mode := closed } else { opened := now } }
invariant few "P1: few" : forall g, h in inside: g == h or 0 <= size(inside) <= 3
step grows on enter(g) : g in inside'
progress shuts : mode == open ~> mode == closed by 1 helpful shut via true
instance small { Guest = 2 }
"""


def codes(text: str) -> list[str]:
    """The codes of a text's diagnostics."""
    return [diagnostic.code for diagnostic in examine_text(text)[1]]


def formula(text: str) -> s.Syntax:
    """The tree of a formula."""
    file, diagnostics = parse(f"machine M\ninvariant x : {text}\n", "m.ct")
    assert diagnostics == ()
    (claim,) = file.declarations
    assert isinstance(claim, s.Claim)
    return claim.formula


def shape(tree: s.Syntax) -> str:
    """A tree with all its brackets."""
    match tree:
        case s.Name(name):
            return name
        case s.Number(value):
            return str(value)
        case s.Unary(operator, operand):
            return f"({operator} {shape(operand)})"
        case s.Binary(operator, left, right):
            return f"({shape(left)} {operator} {shape(right)})"
        case s.Connective(operator, operands):
            return "(" + f" {operator} ".join(map(shape, operands)) + ")"
        case s.Comparison(operands, operators):
            return (
                "("
                + shape(operands[0])
                + "".join(f" {o} {shape(e)}" for o, e in zip(operators, operands[1:], strict=True))
                + ")"
            )
        case s.Quantified(universal, _, body):
            return f"({'forall' if universal else 'exists'}: {shape(body)})"
        case s.Conditional(condition, then, otherwise):
            return f"(if {shape(condition)} {shape(then)} {shape(otherwise)})"
        case s.Indexed(held, keys):
            return f"{shape(held)}[{', '.join(map(shape, keys))}]"
        case s.Primed(operand):
            return f"{shape(operand)}'"
        case _:
            return type(tree).__name__


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a or b and c", "(a or (b and c))"),
        ("not a and b", "((not a) and b)"),
        ("not a == b", "(not (a == b))"),
        ("a implies b implies c", "(a implies (b implies c))"),
        ("a implies b iff c", "((a implies b) iff c)"),
        ("a - b - c", "((a - b) - c)"),
        ("a + b * c", "(a + (b * c))"),
        ("-a + b", "((- a) + b)"),
        ("0 <= a < b", "(0 <= a < b)"),
        ("a ?? b ?? c", "(a ?? (b ?? c))"),
        ("a and forall x in S: b or c", "(a and (forall: (b or c)))"),
        ("if a then b else c and d", "(if a b (c and d))"),
        ("m[a, b]' == m[a]", "(m[a, b]' == m[a])"),
        ("a not in b", "(a not in b)"),
    ],
)
def test_precedence(text: str, meant: str) -> None:
    """Operators bind as the reference page says."""
    assert shape(formula(text)) == meant


def test_every_node_knows_its_place() -> None:
    """Places are those of the text, from the first character to behind the last."""
    tree = formula("aa == bbb")
    assert (tree.place.line, tree.place.column, tree.place.end_column) == (2, 15, 24)


def test_one_mistake_costs_one_declaration() -> None:
    """The other declarations of a file with a mistake are parsed and checked."""
    broken = GOOD.replace("forall g, h in inside", "forall g, h inside").replace("param patience", "param 3")
    file, diagnostics = parse(broken, "door.ct")
    assert ([d.code for d in diagnostics], len(file.declarations)) == (["SPEC101", "SPEC101"], 11)


def test_what_a_broken_declaration_names_is_not_reported_as_unknown() -> None:
    """Errors do not breed: a name from a declaration with a syntax error is taken to exist."""
    assert codes("machine M\nvar count Int = 0\ninvariant x : count >= 0\n") == ["SPEC101"]


@pytest.mark.parametrize(
    "text",
    [
        "(" * 50_000,
        "not " * 50_000 + "a",
        "a + " * 10_000 + "a",
        "f(" * 20_000,
        "[" * 101 + "]" * 101,
        "a == " + "- " * 20_000 + "a",
    ],
    ids=["brackets", "negations", "sums", "calls", "lists", "signs"],
)
def test_deep_nesting_is_refused(text: str) -> None:
    """Deep nesting ends with SPEC106, however it is written."""
    assert "SPEC106" in codes(f"machine M\nvar a : Int = 0\ninvariant x : {text}\n")


def test_nesting_within_the_bound_is_accepted() -> None:
    """What the bound allows is read, checked and run without exhausting the stack."""
    depth = MAX_NESTING - 8
    assert codes(f"machine M\nvar a : Bool = true\ninvariant x : {'not (' * (depth // 2)}a{')' * (depth // 2)}\n") == []


def test_many_conjuncts_are_no_nesting() -> None:
    """A conjunction of thousands is flat."""
    assert codes("machine M\nvar a : Bool = true\ninvariant x : " + " and ".join(["a"] * 3000) + "\n") == []


def test_long_words_are_refused() -> None:
    """Endless names and numbers end with SPEC108."""
    assert codes(f"machine M\nvar {'a' * 500} : Int = {'9' * 500}\n") == ["SPEC108", "SPEC108", "SPEC211"]


def test_ten_thousand_lines() -> None:
    """A specification of ten thousand lines is read whole."""
    lines = "".join(f"invariant i{n} : count >= 0\n" for n in range(10_000))
    file, diagnostics = parse("machine M\nvar count : Int = 0\n" + lines, "m.ct")
    assert (len(file.declarations), diagnostics) == (10_001, ())


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_text_is_answered(text: str) -> None:
    """No text makes the reader fail otherwise than by diagnostics, and none passes as a specification by chance."""
    specification, diagnostics = examine_text(text)
    assert specification is None
    assert diagnostics != ()


def damaged(chance: random.Random) -> str:
    """The good specification with some words dropped, doubled or swapped."""
    words = [token.text for token in tokenize(GOOD, "door.ct")[0]]
    for _ in range(chance.randint(1, 4)):
        at, other = chance.randrange(len(words)), chance.randrange(len(words))
        match chance.randrange(4):
            case 0:
                words[at : at + 1] = []
            case 1:
                words[at:at] = [words[other]]
            case 2:
                words[at], words[other] = words[other], words[at]
            case _:
                words[at] = chance.choice([*string.punctuation, "é", "ж", "forall", "99"])
    return " ".join(words)


def test_damaged_specifications_are_answered() -> None:
    """Hundreds of damaged specifications each end in a specification or in errors, never in neither or both."""
    chance = random.Random(7)
    for _ in range(300):
        text = damaged(chance)
        specification, diagnostics = examine_text(text)
        refused = any(diagnostic.severity.value == "error" for diagnostic in diagnostics)
        assert (specification is None) == refused, text
