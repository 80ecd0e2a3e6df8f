"""Number and string literals, and the functions that compute on numbers directly.

Rules this module keeps:

- a literal `n` is `Nat.zero` or `Nat.succ` of the literal below it;
- a string literal is the list of its characters under `String.mk` where that is the constructor of `String` (older
  releases), under `String.ofList` otherwise (newer ones); which of them never changes once `String` is declared;
- a function computes on literals directly only after `equations` of it were proved (`certify_verifier.lean.fast`); the
  equations determine it on all numbers, so the fast answer is the right one;
- a result beyond `MAX_BITS` ends the check undecided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Final

from certify_verifier.lean import exprs as ex
from certify_verifier.lean import rules
from certify_verifier.lean.environment import Constant, Constructor, Environment, Inductive
from certify_verifier.lean.errors import Exhausted, Refused
from certify_verifier.lean.exprs import App, Const, Expr, NatLit, StrLit
from certify_verifier.lean.levels import ONE, ZERO
from certify_verifier.lean.names import Name

MAX_BITS: Final = 1 << 22
"""The greatest size of a computed number, in bits."""

SUCC: Final = "Nat.succ"
_ZERO_NAME: Final = "Nat.zero"


@dataclass(frozen=True, slots=True)
class Operation:
    """A function on numbers: how many it takes, what it gives, the functions its equations use."""

    arity: int
    compute: Callable[..., Expr]
    needs: tuple[Name, ...] = ()
    gives_bool: bool = False


def nat_type() -> Expr:
    """The type `Nat`."""
    return ex.const("Nat")


def bool_value(value: bool) -> Expr:
    """`Bool.true` or `Bool.false`."""
    return ex.const("Bool.true" if value else "Bool.false")


def value_of(e: Expr) -> int | None:
    """The number that a literal or `Nat.zero` is."""
    if isinstance(e, NatLit):
        return e.value
    return 0 if isinstance(e, Const) and e.name == _ZERO_NAME else None


def expand_nat(e: NatLit) -> Expr:
    """The literal as a constructor of `Nat`."""
    return ex.app(ex.const(SUCC), ex.nat(e.value - 1)) if e.value else ex.const(_ZERO_NAME)


def predecessor(e: Expr) -> Expr | None:
    """The number below, where the term is visibly a successor."""
    if isinstance(e, NatLit):
        return ex.nat(e.value - 1) if e.value else None
    if isinstance(e, App) and isinstance(e.fn, Const) and e.fn.name == SUCC:
        return e.arg
    return None


def is_zero(e: Expr) -> bool:
    """Whether the term is visibly zero."""
    return value_of(e) == 0


def expand_string(e: StrLit, environment: Environment) -> Expr:
    """The literal as a string of characters.

    Raises:
        Refused: `String`, `List` or `Char` are not declared as Lean declares them.
    """
    maker = string_maker(environment)
    character = ex.const("Char")
    cons = ex.app(ex.const("List.cons", [ZERO]), character)
    chars: Expr = ex.app(ex.const("List.nil", [ZERO]), character)
    for char in reversed(e.value):
        chars = ex.apply(cons, [ex.app(ex.const("Char.ofNat"), ex.nat(ord(char))), chars])
    return ex.app(ex.const(maker), chars)


def string_maker(environment: Environment) -> Name:
    """The function from lists of characters to strings that literals stand for.

    Raises:
        Refused: it is missing or has another type.
    """
    wanted = ex.pi("data", ex.app(ex.const("List", [ZERO]), ex.const("Char")), ex.const("String"))
    string_type = environment.constants.get("String")
    by_constructor = isinstance(string_type, Inductive) and string_type.constructors == ("String.mk",)
    name = "String.mk" if by_constructor else "String.ofList"
    constant = environment.constants.get(name)
    if constant is None or constant.levels or not _same_arrow(constant.type, wanted):
        raise Refused(rules.LITERAL, "a string literal needs `String` and its function from lists of characters")
    expected = {
        "List.nil": ("List", 0),
        "List.cons": ("List", 2),
    }
    for part, (owner, fields) in expected.items():
        found = environment.constants.get(part)
        if not isinstance(found, Constructor) or found.inductive != owner or found.num_fields != fields:
            raise Refused(rules.LITERAL, f"a string literal needs `{part}` as Lean declares it")
    of_nat = environment.constants.get("Char.ofNat")
    arrow = ex.pi("n", nat_type(), ex.const("Char"))
    if of_nat is None or of_nat.levels or not _same_arrow(of_nat.type, arrow) or not environment.has_nat:
        raise Refused(rules.LITERAL, "a string literal needs `Char.ofNat : Nat → Char`")
    return name


def _same_arrow(left: Expr, right: Expr) -> bool:
    return isinstance(left, ex.Pi) and isinstance(right, ex.Pi) and left.type is right.type and left.body is right.body


def _bounded(bits: int) -> None:
    if bits > MAX_BITS:
        raise Exhausted(f"a number of {bits} bits is larger than this checker computes with")


def _add(x: int, y: int) -> Expr:
    return ex.nat(x + y)


def _mul(x: int, y: int) -> Expr:
    _bounded(x.bit_length() + y.bit_length())
    return ex.nat(x * y)


def _pow(x: int, y: int) -> Expr:
    _bounded(x.bit_length() * y if x > 1 else 0)
    return ex.nat(x**y)


def _shift_left(x: int, y: int) -> Expr:
    _bounded(x.bit_length() + y if x else 0)
    return ex.nat(x << y)


OPERATIONS: Final[dict[Name, Operation]] = {
    "Nat.pred": Operation(1, lambda x: ex.nat(max(x - 1, 0))),
    "Nat.add": Operation(2, _add),
    "Nat.sub": Operation(2, lambda x, y: ex.nat(max(x - y, 0)), ("Nat.pred",)),
    "Nat.mul": Operation(2, _mul, ("Nat.add",)),
    "Nat.pow": Operation(2, _pow, ("Nat.mul",)),
    "Nat.beq": Operation(2, lambda x, y: bool_value(x == y), gives_bool=True),
    "Nat.ble": Operation(2, lambda x, y: bool_value(x <= y), gives_bool=True),
    "Nat.shiftLeft": Operation(2, _shift_left, ("Nat.mul",)),
    "Nat.div": Operation(2, lambda x, y: ex.nat(x // y if y else 0), ("Nat.mod", "Nat.beq")),
    "Nat.mod": Operation(2, lambda x, y: ex.nat(x % y if y else x), ("Nat.beq",)),
    "Nat.gcd": Operation(2, lambda x, y: ex.nat(gcd(x, y)), ("Nat.mod",)),
    "Nat.log2": Operation(1, lambda x: ex.nat(max(x.bit_length() - 1, 0)), ("Nat.div",)),
    "Nat.shiftRight": Operation(2, lambda x, y: ex.nat(x >> y), ("Nat.div",)),
    "Nat.land": Operation(2, lambda x, y: ex.nat(x & y), ("Nat.add", "Nat.mul", "Nat.div", "Nat.mod")),
    "Nat.lor": Operation(2, lambda x, y: ex.nat(x | y), ("Nat.add", "Nat.sub", "Nat.mul", "Nat.div", "Nat.mod")),
    "Nat.xor": Operation(2, lambda x, y: ex.nat(x ^ y), ("Nat.add", "Nat.mul", "Nat.div", "Nat.mod")),
}
"""The functions that compute on literals once their equations are proved."""


def equations(name: Name, x: Expr, y: Expr) -> Sequence[tuple[Expr, Expr]]:
    """Pairs of terms over the numbers `x` and `y` whose equality determines the function on all numbers."""

    def call(function: Name, *args: Expr) -> Expr:
        return ex.apply(ex.const(function), args)

    def s(e: Expr) -> Expr:
        return call(SUCC, e)

    zero = ex.const(_ZERO_NAME)
    one = s(zero)
    two = s(one)
    true, false = bool_value(True), bool_value(False)
    rest = call("Nat.mod", x, y)
    low, low_ = call("Nat.mod", s(x), two), call("Nat.mod", s(y), two)

    def at_turn(yes: Expr, no: Expr) -> Expr:
        """One or the other, as counting one further fills the divisor or not."""
        motive = ex.lam("_", ex.const("Bool"), nat_type())
        filled = call("Nat.beq", s(rest), y)
        return ex.apply(ex.const("Bool.rec", [ONE]), [motive, no, yes, filled])

    def half(e: Expr) -> Expr:
        return call("Nat.div", e, two)

    def by_bits(last: Expr) -> tuple[Expr, Expr]:
        """The function of two positive numbers from their halves and the lowest bit of the result."""
        halves = call("Nat.mul", two, call(name, half(s(x)), half(s(y))))
        return call(name, s(x), s(y)), call("Nat.add", halves, last)

    table: dict[Name, list[tuple[Expr, Expr]]] = {
        "Nat.pred": [(call(name, zero), zero), (call(name, s(x)), x)],
        "Nat.add": [(call(name, x, zero), x), (call(name, x, s(y)), s(call(name, x, y)))],
        "Nat.sub": [(call(name, x, zero), x), (call(name, x, s(y)), call("Nat.pred", call(name, x, y)))],
        "Nat.mul": [(call(name, x, zero), zero), (call(name, x, s(y)), call("Nat.add", call(name, x, y), x))],
        "Nat.pow": [(call(name, x, zero), one), (call(name, x, s(y)), call("Nat.mul", call(name, x, y), x))],
        "Nat.beq": [
            (call(name, zero, zero), true),
            (call(name, zero, s(y)), false),
            (call(name, s(x), zero), false),
            (call(name, s(x), s(y)), call(name, x, y)),
        ],
        "Nat.ble": [
            (call(name, zero, zero), true),
            (call(name, zero, s(y)), true),
            (call(name, s(x), zero), false),
            (call(name, s(x), s(y)), call(name, x, y)),
        ],
        "Nat.shiftLeft": [
            (call(name, x, zero), x),
            (call(name, x, s(y)), call(name, call("Nat.mul", s(one), x), y)),
        ],
        "Nat.mod": [(call(name, zero, y), zero), (call(name, s(x), y), at_turn(zero, s(rest)))],
        "Nat.div": [(call(name, zero, y), zero), (call(name, s(x), y), at_turn(s(call(name, x, y)), call(name, x, y)))],
        "Nat.gcd": [(call(name, zero, y), y), (call(name, s(x), y), call(name, call("Nat.mod", y, s(x)), s(x)))],
        "Nat.log2": [
            (call(name, zero), zero),
            (call(name, one), zero),
            (call(name, s(s(x))), s(call(name, half(s(s(x)))))),
        ],
        "Nat.shiftRight": [(call(name, x, zero), x), (call(name, x, s(y)), half(call(name, x, y)))],
        "Nat.land": [(call(name, zero, y), zero), (call(name, x, zero), zero), by_bits(call("Nat.mul", low, low_))],
        "Nat.lor": [
            (call(name, zero, y), y),
            (call(name, x, zero), x),
            by_bits(call("Nat.sub", call("Nat.add", low, low_), call("Nat.mul", low, low_))),
        ],
        "Nat.xor": [
            (call(name, zero, y), y),
            (call(name, x, zero), x),
            by_bits(call("Nat.mod", call("Nat.add", low, low_), two)),
        ],
    }
    return table[name]


def operation_type(operation: Operation) -> Expr:
    """The type a function must have to compute on literals."""
    result = ex.const("Bool") if operation.gives_bool else nat_type()
    for _ in range(operation.arity):
        result = ex.pi("n", nat_type(), result)
    return result


def may_be_fast(constant: Constant, environment: Environment) -> bool:
    """Whether a definition is one that could compute on literals, once its equations hold."""
    operation = OPERATIONS.get(constant.name)
    return (
        operation is not None
        and not constant.levels
        and environment.has_nat
        and (environment.has_bool or not operation.gives_bool)
        and all(need in environment.fast for need in operation.needs)
    )
