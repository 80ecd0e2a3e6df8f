"""How fast the Lean kernel checks: declarations and comparisons per second, and cost against the size of a proof.

Run as `python bench/lean_kernel.py`; it prints three tables and a plot. `--svg FILE` writes the plot as a picture, too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from certify_spec.diagnostics import Place
from certify_verifier.lean import Accepted, check_export, check_package, levels, literals, quotient
from certify_verifier.lean import exprs as ex
from certify_verifier.lean.environment import Definition, Theorem
from certify_verifier.lean.exprs import Expr
from certify_verifier.lean.inductive import InductiveSpec, TypeSpec
from certify_verifier.lean.session import Session, run_deep
from certify_verifier.lean.terms import lambdas

ROOT = Path(__file__).parent.parent
SIZES = (250, 500, 1000, 2000, 4000, 8000)
WIDTH = 60


def measured(work: Callable[[], tuple[int, int, int]]) -> tuple[float, int, int, int]:
    """Seconds of processor time, and what the work counted."""
    start = time.process_time()
    counted = work()
    return time.process_time() - start, *counted


def exports() -> None:
    """Every real export in the tests."""
    print(
        f"{'export':<22}{'declarations':>14}{'steps':>9}{'equalities':>12}{'seconds':>10}{'decl./s':>10}{'eq./s':>10}"
    )
    for path in sorted((ROOT / "tests" / "verifier" / "lean" / "data" / "export").glob("*.ndjson")):

        def work(path: Path = path) -> tuple[int, int, int]:
            report = check_export(path)
            assert report.verdict == Accepted(), path
            return len(report.entries), report.steps, report.comparisons

        seconds, entries, steps, comparisons = measured(work)
        print(
            f"{path.stem:<22}{entries:>14}{steps:>9}{comparisons:>12}{seconds:>10.3f}"
            f"{entries / seconds:>10.0f}{comparisons / seconds:>10.0f}"
        )


def shipped() -> None:
    """The shipped package from cold, front end and prelude included."""

    def work() -> tuple[int, int, int]:
        report = check_package(ROOT / "lean", name="lean")
        assert report.verdict == Accepted(), "the shipped package is accepted"
        entries = sum(len(r.entries) for r in report.reports)
        return entries, sum(r.steps for r in report.reports), sum(r.comparisons for r in report.reports)

    seconds, entries, steps, comparisons = measured(work)
    print(f"shipped package: {entries} declarations, {steps} steps, {comparisons} equalities in {seconds:.2f} s")


def numbers(session: Session) -> None:
    """Numbers with addition, and equality."""
    nat = literals.nat_type()
    place = Place("bench")
    types = TypeSpec("Nat", ex.TYPE, (("Nat.zero", nat), (literals.SUCC, ex.pi("n", nat, nat))))
    session.check(InductiveSpec((), 0, (types,)), place)
    session.check(quotient.equality(), place)
    motive = ex.lam("_", nat, nat)
    step = ex.lam("n", nat, ex.lam("r", nat, ex.app(ex.const(literals.SUCC), ex.bvar(0))))
    call = ex.apply(ex.const("Nat.rec", [levels.ONE]), [motive, ex.bvar(1), step, ex.bvar(0)])
    add = ex.lam("x", nat, ex.lam("y", nat, call))
    session.check(Definition("Nat.add", (), literals.operation_type(literals.OPERATIONS["Nat.add"]), add, 1), place)


def chain(size: int) -> Theorem:
    """A proof of `f a = f a'` by `size` nested steps, each with an equality to find by computation."""
    nat = literals.nat_type()
    x = ex.local(-1, "x", nat)

    def equation(left: Expr, right: Expr) -> Expr:
        return ex.apply(ex.const("Eq", [levels.ONE]), [nat, left, right])

    def plus(left: Expr, number: int) -> Expr:
        return ex.apply(ex.const("Nat.add"), [left, ex.nat(number)])

    proof = ex.apply(ex.const("Eq.refl", [levels.ONE]), [nat, plus(x, 0)])
    for number in range(1, size):
        left, right = plus(x, number), ex.app(ex.const(literals.SUCC), plus(x, number - 1))
        fact = ex.apply(ex.const("Eq.refl", [levels.ONE]), [nat, left])
        typed = ex.app(ex.lam("h", equation(left, right), ex.bvar(0)), fact)
        proof = ex.let("h", equation(left, right), typed, proof)
    statement = ex.pi("x", nat, ex.apply(ex.const("Eq", [levels.ONE]), [nat, plus(ex.bvar(0), 0), ex.bvar(0)]))
    return Theorem("chain", (), statement, lambdas([x], proof))


def picture(points: list[tuple[int, float]]) -> str:
    """Seconds against proof steps, with the straight line through the origin and the largest proof, as SVG."""
    left, top, width, height = 70, 20, 560, 300
    most_steps, most_seconds = points[-1][0], max(seconds for _, seconds in points)

    def at(steps: float, seconds: float) -> tuple[float, float]:
        return left + width * steps / most_steps, top + height * (1 - seconds / most_seconds)

    end = at(*points[-1])
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 380" font-family="sans-serif" font-size="13">',
        '<rect width="680" height="380" fill="white"/>',
        f'<path d="M{left} {top}V{top + height}H{left + width}" fill="none" stroke="#444"/>',
        f'<path d="M{left} {top + height}L{end[0]:.1f} {end[1]:.1f}" stroke="#bbb" stroke-dasharray="4 4"/>',
    ]
    for steps, seconds in points:
        x, y = at(steps, seconds)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#0b6"/>')
        if steps * 4 >= most_steps:
            parts.append(f'<text x="{x:.1f}" y="{top + height + 18}" text-anchor="middle">{steps}</text>')
    for share in (0.5, 1.0):
        y = at(0, share * most_seconds)[1]
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{share * most_seconds:.2f}</text>')
    parts.append(f'<text x="{left + width / 2:.0f}" y="{top + height + 42}" text-anchor="middle">proof steps</text>')
    parts.append(f'<text x="{left + 10}" y="{top + 4}">seconds of processor time; dashed: a straight line</text>')
    return "\n".join([*parts, "</svg>", ""])


def growth(svg: Path | None) -> None:
    """Cost against the size of one proof."""
    rows = []
    for size in SIZES:

        def work(size: int = size) -> tuple[int, int, int]:
            def check() -> tuple[int, int, int]:
                session = Session("bench")
                numbers(session)
                entry = session.check(chain(size), Place("bench"))
                assert entry.verdict == Accepted(), entry.verdict
                return size, session.steps, session.comparisons

            return run_deep(check)

        seconds, _, steps, comparisons = measured(work)
        rows.append((size, seconds, steps, comparisons))
    print(f"{'proof steps':>12}{'kernel steps':>14}{'equalities':>12}{'seconds':>10}{'µs per proof step':>19}")
    for size, seconds, steps, comparisons in rows:
        print(f"{size:>12}{steps:>14}{comparisons:>12}{seconds:>10.3f}{seconds / size * 1e6:>19.1f}")
    most = max(seconds for _, seconds, _, _ in rows)
    print("\nseconds against proof steps (each row twice the proof of the one above)")
    for size, seconds, _, _ in rows:
        print(f"{size:>6} {'█' * max(1, round(seconds / most * WIDTH))} {seconds:.3f}")
    smallest, largest = rows[0], rows[-1]
    factor = (largest[1] / smallest[1]) / (largest[0] / smallest[0])
    print(f"the largest proof costs {factor:.2f} times what a straight line from the smallest gives")
    if svg is not None:
        svg.write_text(picture([(size, seconds) for size, seconds, _, _ in rows]), encoding="utf-8")


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--svg", type=Path, help="write the plot of growth here")
    svg: Path | None = parser.parse_args().svg
    exports()
    print()
    shipped()
    print()
    growth(svg)


if __name__ == "__main__":
    main()
