"""A process that asks one solver one question at a time; its parent kills it when time or memory runs out.

Questions and answers are lines of JSON on standard input and output. It runs as
`python -m certify_verifier._worker MEGABYTES`.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from typing import Any

SPENT = "its effort is used up"


def main() -> None:
    """Answer until the input ends."""
    megabytes = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
    # Libraries write to standard output as they please: it becomes standard error, and answers keep a way of their own.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        question = json.loads(line)
        begin = time.monotonic()
        try:
            answer = _SOLVERS[question["solver"]](question)
        except MemoryError:
            answer = {"status": "unknown", "reason": "out of memory"}
        except Exception as problem:  # whatever a solver raises is an answer too: it could not decide
            answer = {"status": "error", "reason": f"{type(problem).__name__}: {problem}"}
        answer["seconds"] = time.monotonic() - begin
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _ask_z3(question: dict[str, Any]) -> dict[str, Any]:
    import z3  # type: ignore[import-untyped]  # no stubs exist

    context = z3.Context()
    solver = z3.Solver(ctx=context)
    solver.set("timeout", question["wall"])
    solver.set("rlimit", question["units"])
    if question["seed"]:
        solver.set("smt.random_seed", question["seed"])
        solver.set("random_seed", question["seed"])
    solver.from_string(question["text"])
    status = str(solver.check())
    answer: dict[str, Any] = {"status": status, "units": _spent(solver)}
    if status == "unknown":
        answer["reason"] = SPENT if answer["units"] >= question["units"] else solver.reason_unknown()
    elif status == "sat" and question["model"]:
        model = solver.model()
        # What the text defines is in the model too, as formulas that can be long to print; nobody asks for them.
        defined = {line.split(" ", 2)[1] for line in question["text"].splitlines() if line.startswith("(define-fun ")}
        answer["model"] = {d.name(): _meaning(model, d) for d in model.decls() if d.name() not in defined}
    return answer


def _spent(solver: Any) -> int:
    """The resource units that z3 counted."""
    statistics = solver.statistics()
    return int(statistics.get_key_value("rlimit count")) if "rlimit count" in statistics.keys() else 0  # noqa: SIM118 - no dict


def _ask_spacer(question: dict[str, Any]) -> dict[str, Any]:
    """Solve Horn clauses; the model gives each predicate as a tree of lists."""
    import z3

    context = z3.Context()
    solver = z3.SolverFor("HORN", ctx=context)
    solver.set("timeout", question["wall"])
    solver.set("rlimit", question["units"])
    solver.set("spacer.global", True)  # finds relations between numbers that are otherwise followed one by one for ever
    solver.from_string(question["text"])
    status = str(solver.check())
    if status != "sat":
        return {"status": status, "reason": solver.reason_unknown() if status == "unknown" else ""}
    model = solver.model()
    found = {}
    for declaration in model.decls():
        meaning = model[declaration]
        whole = meaning.else_value() if isinstance(meaning, z3.FuncInterp) else meaning
        found[declaration.name()] = _tree(whole)
    return {"status": status, "model": found}


def _tree(term: Any) -> Any:
    """A formula as lists; argument `i` of its predicate is `["var", i]`."""
    import z3

    if z3.is_var(term):
        return ["var", z3.get_var_index(term)]
    if z3.is_true(term) or z3.is_false(term) or z3.is_int_value(term):
        return _plain(term)
    return [term.decl().name(), *(_tree(term.arg(i)) for i in range(term.num_args()))]


def _meaning(model: Any, declaration: Any) -> Any:
    import z3

    found = model[declaration]
    if not isinstance(found, z3.FuncInterp):
        return _plain(found)
    entries = [
        [[_plain(found.entry(i).arg_value(j)) for j in range(found.arity())], _plain(found.entry(i).value())]
        for i in range(found.num_entries())
    ]
    return {"entries": entries, "else": _plain(found.else_value())}


def _plain(value: Any) -> Any:
    import z3

    if z3.is_true(value) or z3.is_false(value):
        return z3.is_true(value)
    if z3.is_int_value(value):
        return value.as_long()
    return str(value)


def _ask_cvc5(question: dict[str, Any]) -> dict[str, Any]:
    import cvc5  # type: ignore[import-untyped]  # no stubs exist

    solver = cvc5.Solver()
    solver.setOption("tlimit-per", str(question["wall"]))
    solver.setOption("rlimit-per", str(question["units"]))
    solver.setOption("full-saturate-quant", "true")
    solver.setOption("seed", str(question["seed"]))
    parser = cvc5.InputParser(solver)
    parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, question["text"], "obligation")
    said = ""
    while not (command := parser.nextCommand()).isNull():
        said += command.invoke(solver, parser.getSymbolManager())
    status = said.strip().splitlines()[-1] if said.strip() else "unknown"
    if status in ("sat", "unsat"):
        return {"status": status, "units": solver.getStatistics()["resource::resourceUnitsUsed"]["value"]}
    reason = SPENT if "RESOURCEOUT" in status else status
    return {"status": "unknown" if status.startswith("unknown") else "error", "reason": reason}


_SOLVERS = {"z3": _ask_z3, "cvc5": _ask_cvc5, "spacer": _ask_spacer}

if __name__ == "__main__":
    main()
