"""Which names a body binds, and which module an import means: the parts of the walk that look at syntax only.

Rules this module keeps:

- nested functions and classes keep their own names, comprehension variables count as the body's;
- a name is *firm* when the body binds it on every path and never deletes it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from certify.analysis.sources import Source


@dataclass(slots=True)
class Names:
    """What a body does with names."""

    bound: set[str] = field(default_factory=set)
    globals: set[str] = field(default_factory=set)
    nonlocals: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    firm: dict[str, int] = field(default_factory=dict)


def names_of(body: Sequence[ast.AST]) -> Names:
    """The names that a body binds, declares global or nonlocal, and deletes."""
    names = Names()
    todo: list[ast.AST] = list(body)
    while todo:
        node = todo.pop()
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                names.bound.add(node.name)
                todo += [*node.decorator_list, *node.args.defaults, *(d for d in node.args.kw_defaults if d)]
                continue
            case ast.ClassDef():
                names.bound.add(node.name)
                todo += [*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)]
                continue
            case ast.Lambda():
                todo += [*node.args.defaults, *(d for d in node.args.kw_defaults if d)]
                continue
            case ast.Import() | ast.ImportFrom():
                names.bound |= set(_imported(node))
            case ast.Global():
                names.globals |= set(node.names)
            case ast.Nonlocal():
                names.nonlocals |= set(node.names)
            case ast.Name(id=name, ctx=ast.Store()):
                names.bound.add(name)
            case ast.Name(id=name, ctx=ast.Del()):
                names.bound.add(name)
                names.deleted.add(name)
            case ast.ExceptHandler(name=str(name)):
                names.bound.add(name)
                names.deleted.add(name)
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                names.bound.add(name)
            case _:
                pass
        todo += ast.iter_child_nodes(node)
    for statement in body:
        for name in _firmly_bound(statement):
            if name not in names.deleted:
                names.firm.setdefault(name, getattr(statement, "lineno", 0))
    return names


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    for alias in node.names:
        if alias.name != "*":
            yield alias.asname or (alias.name.partition(".")[0] if isinstance(node, ast.Import) else alias.name)


def _firmly_bound(statement: ast.AST) -> Iterator[str]:
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield statement.name
        case ast.Import() | ast.ImportFrom():
            yield from _imported(statement)
        case ast.Assign(targets=targets):
            yield from (target.id for target in targets if isinstance(target, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
            yield name
        case _:
            pass


def absolute(source: Source, node: ast.ImportFrom) -> str | None:
    """The dotted name of the module that a `from` import reads; None when it leaves the node's folder."""
    if not node.level:
        return node.module or ""
    parts = source.module.split(".") if source.module else []
    climb = node.level - (1 if source.is_package else 0)
    if climb > len(parts):
        return None
    parts = parts[: len(parts) - climb]
    return ".".join([*parts, *([node.module] if node.module else [])])


def is_type_checking(test: ast.expr) -> bool:
    """Whether a condition reads ``TYPE_CHECKING`` or ``typing.TYPE_CHECKING``."""
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def is_main_guard(test: ast.expr) -> bool:
    """Whether a condition is ``__name__ == "__main__"``, which never holds for an imported module."""
    match test:
        case ast.Compare(left=ast.Name(id="__name__"), ops=[ast.Eq()], comparators=[ast.Constant(value="__main__")]):
            return True
        case _:
            return False


def dotted(node: ast.AST) -> str:
    """An expression as it is written, cut to a length that fits a line."""
    try:
        text = ast.unparse(node)
    except (RecursionError, ValueError):
        return type(node).__name__
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:57] + "…"
