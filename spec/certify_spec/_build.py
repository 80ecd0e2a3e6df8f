"""From lark's trees to the syntax tree, one method per rule of the grammar."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final, cast

from lark import Token as LarkToken
from lark import Tree

from certify_spec import syntax as s
from certify_spec.diagnostics import Place

Node = Tree[Any]
Part = Node | LarkToken | None

_LONG_CHAINS: Final = ("sum", "product")


def depth(tree: Node) -> int:
    """How deep the syntax tree of a declaration will nest; long chains of `+` or `*` nest by half their length."""
    deepest: dict[int, int] = {}
    for node in tree.iter_subtrees():
        below = max((deepest[id(child)] for child in node.children if isinstance(child, Tree)), default=0)
        own = len(node.children) // 2 if node.data in _LONG_CHAINS else 1
        deepest[id(node)] = below + own
    return deepest[id(tree)]


class Builder:
    """Builds the nodes of one file. Methods named like grammar rules take the rule's tree."""

    def __init__(self, file: str) -> None:
        self._file = file

    def declaration(self, tree: Node) -> s.Declaration:
        """The declaration of a `declaration` tree."""
        return cast("s.Declaration", self._any(_tree(tree.children[0])))

    # --- helpers -----------------------------------------------------------------------------------------------------

    def _any(self, tree: Node) -> Any:
        return getattr(self, "_" + str(tree.data).rstrip("_"))(tree, *tree.children)

    def _expression(self, part: Part) -> s.Syntax:
        return cast("s.Syntax", self._any(_tree(part)))

    def _optional(self, part: Part) -> s.Syntax | None:
        return None if part is None else self._expression(part)

    def _expressions(self, parts: Iterable[Part]) -> tuple[s.Syntax, ...]:
        return tuple(self._expression(part) for part in parts if part is not None)

    def _place(self, part: Node | LarkToken) -> Place:
        meta: Any = part if isinstance(part, LarkToken) else part.meta
        return Place(self._file, meta.line, meta.column, meta.end_line, meta.end_column)

    def _word(self, part: Part) -> s.Word:
        assert isinstance(part, LarkToken)
        return s.Word(str(part), self._place(part))

    def _words(self, parts: Iterable[Part]) -> tuple[s.Word, ...]:
        return tuple(self._word(part) for part in parts if part is not None)

    # --- types and parameters ----------------------------------------------------------------------------------------

    def _type(self, tree: Node, name: Part, *parts: Part) -> s.TypeName:
        arguments = tuple(self._type_name(part) for part in parts[:-1] if part is not None)
        value = parts[-1] if parts else None
        return s.TypeName(self._word(name), arguments, self._type_name(value) if value else None, self._place(tree))

    def _type_name(self, part: Part) -> s.TypeName:
        return cast("s.TypeName", self._any(_tree(part)))

    def _unary_arrow(self, tree: Node, parameter: Part, result: Part) -> s.Arrow:
        return s.Arrow((self._type_name(parameter),), self._type_name(result), self._place(tree))

    def _wide_arrow(self, tree: Node, *parts: Part) -> s.Arrow:
        *parameters, result = parts
        return s.Arrow(tuple(map(self._type_name, parameters)), self._type_name(result), self._place(tree))

    def _type_parameters(self, _whole: Node, *names: Part) -> tuple[s.Word, ...]:
        return self._words(names)

    def _parameters(self, part: Part) -> tuple[s.Parameter, ...]:
        if part is None:
            return ()
        return tuple(self._parameter(_tree(child)) for child in _tree(part).children if child is not None)

    def _parameter(self, tree: Node) -> s.Parameter:
        name, kind = tree.children
        return s.Parameter(self._word(name), cast("s.TypeSyntax", self._any(_tree(kind))))

    def _doc(self, part: Part) -> str:
        (text,) = _tree(part).children
        return "" if text is None else str(text)[1:-1]

    # --- declarations ------------------------------------------------------------------------------------------------

    def _header(self, tree: Node, kind: Part, name: Part, doc: Part) -> s.Header:
        return s.Header(str(kind), self._word(name), self._doc(doc), self._place(tree))

    def _enum(self, tree: Node, name: Part, parameters: Part, *rest: Part) -> s.EnumDeclaration:
        *cases, doc = rest
        made = tuple(self._case(_tree(case)) for case in cases if case is not None)
        return s.EnumDeclaration(
            self._word(name), self._any(_tree(parameters)), made, self._doc(doc), self._place(tree)
        )

    def _case(self, tree: Node) -> tuple[s.Word, s.TypeName | None]:
        name, content = tree.children
        return self._word(name), None if content is None else self._type_name(content)

    def _record(self, tree: Node, name: Part, parameters: Part, *rest: Part) -> s.RecordDeclaration:
        *slots, doc = rest
        made = tuple(self._slot(_tree(slot)) for slot in slots if slot is not None)
        return s.RecordDeclaration(
            self._word(name), self._any(_tree(parameters)), made, self._doc(doc), self._place(tree)
        )

    def _slot(self, tree: Node) -> tuple[s.Word, s.TypeName]:
        name, kind = tree.children
        return self._word(name), self._type_name(kind)

    def _sort(self, tree: Node, name: Part, doc: Part) -> s.SortDeclaration:
        return s.SortDeclaration(self._word(name), self._doc(doc), self._place(tree))

    def _relation(self, tree: Node, name: Part, parameters: Part, doc: Part) -> s.FunctionDeclaration:
        return s.FunctionDeclaration(
            self._word(name), self._parameters(parameters), None, self._doc(doc), self._place(tree)
        )

    def _function(self, tree: Node, name: Part, parameters: Part, result: Part, doc: Part) -> s.FunctionDeclaration:
        return s.FunctionDeclaration(
            self._word(name), self._parameters(parameters), self._type_name(result), self._doc(doc), self._place(tree)
        )

    def _claim(self, tree: Node, name: Part, doc: Part, formula: Part) -> s.Claim:
        return s.Claim(str(tree.data), self._word(name), self._doc(doc), self._expression(formula), self._place(tree))

    _axiom = _assume = _init = _invariant = _lemma = _always = _reachable = _claim

    def _param(self, tree: Node, name: Part, kind: Part, doc: Part, where: Part) -> s.ParameterDeclaration:
        return s.ParameterDeclaration(
            self._word(name), self._type_name(kind), self._doc(doc), self._optional(where), self._place(tree)
        )

    def _define(
        self, tree: Node, name: Part, types: Part, parameters: Part, result: Part, doc: Part, body: Part
    ) -> s.DefinitionDeclaration:
        return s.DefinitionDeclaration(
            self._word(name),
            self._any(_tree(types)),
            self._parameters(parameters),
            self._type_name(result),
            self._doc(doc),
            self._expression(body),
            self._place(tree),
        )

    def _variable(
        self, tree: Node, ghost: Part, name: Part, kind: Part, span: Part, initial: Part, doc: Part
    ) -> s.VariableDeclaration:
        ends = None if span is None else cast("tuple[s.Syntax, s.Syntax]", self._expressions(_tree(span).children))
        return s.VariableDeclaration(
            self._word(name),
            ghost is not None,
            self._type_name(kind),
            ends,
            self._optional(initial),
            self._doc(doc),
            self._place(tree),
        )

    def _clock(self, tree: Node, name: Part, doc: Part) -> s.ClockDeclaration:
        return s.ClockDeclaration(self._word(name), self._doc(doc), self._place(tree))

    def _action(self, tree: Node, *parts: Part) -> s.ActionDeclaration:
        *modifiers, name, parameters, doc, guard, block = parts
        return s.ActionDeclaration(
            self._word(name),
            tuple(self._word(_tree(modifier).children[0]) for modifier in modifiers),
            self._parameters(parameters),
            self._doc(doc),
            self._optional(guard),
            self._block(_tree(block)),
            self._place(tree),
        )

    def _mention(self, tree: Node) -> s.Mention:
        name, *arguments = tree.children
        bare = (
            len(arguments) == 1 and arguments[0] is None and self._place(tree) == self._place(cast("LarkToken", name))
        )
        return s.Mention(self._word(name), None if bare else self._expressions(arguments), self._place(tree))

    def _step(self, tree: Node, name: Part, *parts: Part) -> s.StepDeclaration:
        doc, *mentions, formula = parts
        on = tuple(self._mention(_tree(mention)) for mention in mentions if mention is not None)
        return s.StepDeclaration(self._word(name), on, self._doc(doc), self._expression(formula), self._place(tree))

    def _progress(
        self, tree: Node, name: Part, parameters: Part, doc: Part, premise: Part, goal: Part, how: Part
    ) -> s.ProgressDeclaration:
        parts = _tree(how).children
        chained = _tree(how).data == "chain"
        helpful = () if chained else tuple(self._help(_tree(part)) for part in parts if _is(part, "help"))
        via = None if chained else parts[-1]
        ranks = () if chained else tuple(part for part in parts[:-1] if part is not None and not _is(part, "help"))
        return s.ProgressDeclaration(
            self._word(name),
            self._parameters(parameters),
            self._doc(doc),
            self._expression(premise),
            self._expression(goal),
            self._expressions(ranks),
            helpful,
            self._optional(via),
            self._words(parts) if chained else (),
            self._place(tree),
        )

    def _help(self, tree: Node) -> s.Help:
        mention, condition = tree.children
        return s.Help(self._mention(_tree(mention)), self._optional(condition))

    def _law(self, tree: Node, name: Part, types: Part, parameters: Part, doc: Part, formula: Part) -> s.LawDeclaration:
        return s.LawDeclaration(
            self._word(name),
            self._any(_tree(types)),
            self._parameters(parameters),
            self._doc(doc),
            self._expression(formula),
            self._place(tree),
        )

    def _instance(self, tree: Node, name: Part, *parts: Part) -> s.InstanceDeclaration:
        *settings, doc = parts
        made = tuple(self._setting(_tree(setting)) for setting in settings if setting is not None)
        return s.InstanceDeclaration(self._word(name), made, self._doc(doc), self._place(tree))

    def _setting(self, tree: Node) -> s.Setting:
        name, value, to = tree.children
        return s.Setting(self._word(name), self._expression(value), self._optional(to))

    def _refinement(self, tree: Node, name: Part, source: Part, *mappings: Part) -> s.RefinementDeclaration:
        assert isinstance(source, LarkToken)
        trees = [_tree(mapping) for mapping in mappings]

        def named(kind: str) -> tuple[tuple[s.Word, s.Syntax], ...]:
            return tuple((self._word(t.children[1]), self._expression(t.children[2])) for t in trees if t.data == kind)

        return s.RefinementDeclaration(
            self._word(name),
            s.Word(str(source)[1:-1], self._place(source)),
            named("map_param"),
            named("map_variable"),
            tuple(self._action_mapping(t) for t in trees if t.data == "map_action"),
            self._place(tree),
        )

    def _action_mapping(self, tree: Node) -> s.ActionMapping:
        _, concrete, abstract, condition = tree.children
        return s.ActionMapping(
            self._mention(_tree(concrete)), self._mention(_tree(abstract)), self._optional(condition)
        )

    # --- statements --------------------------------------------------------------------------------------------------

    def _block(self, tree: Node) -> tuple[s.Statement, ...]:
        return tuple(
            cast("s.Statement", self._any(_tree(_tree(child).children[0] if _is(child, "statement") else child)))
            for child in tree.children
            if child is not None
        )

    def _assignment(self, tree: Node, target: Part, value: Part) -> s.Assignment:
        name, *accessors = _tree(target).children
        path = tuple(self._accessor(_tree(accessor)) for accessor in accessors)
        return s.Assignment(self._word(name), path, self._expression(value), self._place(tree))

    def _accessor(self, tree: Node) -> tuple[s.Syntax, ...] | s.Word:
        return self._word(tree.children[0]) if tree.data == "at_field" else self._expressions(tree.children)

    def _let(self, tree: Node, name: Part, value: Part) -> s.Let:
        return s.Let(self._word(name), self._expression(value), self._place(tree))

    def _branch(self, tree: Node, condition: Part, then: Part, otherwise: Part) -> s.Branch:
        if otherwise is None:
            rest: tuple[s.Statement, ...] = ()
        elif _is(otherwise, "branch"):
            rest = (cast("s.Statement", self._any(_tree(otherwise))),)
        else:
            rest = self._block(_tree(otherwise))
        return s.Branch(self._expression(condition), self._block(_tree(then)), rest, self._place(tree))

    # --- expressions -------------------------------------------------------------------------------------------------

    def _name(self, tree: Node, name: Part) -> s.Name:
        return s.Name(str(name), self._place(tree))

    def _number(self, tree: Node, digits: Part) -> s.Number:
        return s.Number(int(str(digits)), self._place(tree))

    def _truth(self, tree: Node, word: Part) -> s.Truth:
        return s.Truth(str(word) == "true", self._place(tree))

    def _grouped(self, whole: Node, inner: Part) -> s.Syntax:
        return replace(self._expression(inner), place=self._place(whole))

    def _inversion(self, tree: Node, operand: Part) -> s.Unary:
        return s.Unary("not", self._expression(operand), self._place(tree))

    def _negative(self, tree: Node, operand: Part) -> s.Unary:
        return s.Unary("-", self._expression(operand), self._place(tree))

    def _conjunction(self, tree: Node, *operands: Part) -> s.Connective:
        return s.Connective("and", self._expressions(operands), self._place(tree))

    def _disjunction(self, tree: Node, *operands: Part) -> s.Connective:
        return s.Connective("or", self._expressions(operands), self._place(tree))

    def _implication(self, tree: Node, left: Part, right: Part) -> s.Binary:
        return s.Binary("implies", self._expression(left), self._expression(right), self._place(tree))

    def _iff(self, tree: Node, left: Part, right: Part) -> s.Binary:
        return s.Binary("iff", self._expression(left), self._expression(right), self._place(tree))

    def _fallback(self, tree: Node, left: Part, right: Part) -> s.Binary:
        return s.Binary("??", self._expression(left), self._expression(right), self._place(tree))

    def _sum(self, _whole: Node, first: Part, *rest: Part) -> s.Syntax:
        left = self._expression(first)
        for sign, operand in zip(rest[::2], rest[1::2], strict=True):
            right = self._expression(operand)
            left = s.Binary(str(_tree(sign).children[0]), left, right, _between(left.place, right.place))
        return left

    _product = _sum

    def _comparison(self, tree: Node, *parts: Part) -> s.Comparison:
        operators = tuple(" ".join(map(str, _tree(part).children)) for part in parts[1::2])
        return s.Comparison(self._expressions(parts[::2]), operators, self._place(tree))

    def _test(self, tree: Node, value: Part, _word_is: Part, case: Part) -> s.CaseTest:
        return s.CaseTest(self._expression(value), self._word(case), self._place(tree))

    def _call(self, tree: Node, function: Part, *arguments: Part) -> s.Application:
        made = tuple(self._argument(_tree(argument)) for argument in arguments if argument is not None)
        return s.Application(self._expression(function), made, self._place(tree))

    def _argument(self, tree: Node) -> s.Argument:
        name, value = tree.children
        return s.Argument(None if name is None else self._word(name), self._expression(value))

    def _index(self, tree: Node, indexed: Part, *keys: Part) -> s.Indexed:
        return s.Indexed(self._expression(indexed), self._expressions(keys), self._place(tree))

    def _field(self, tree: Node, record: Part, field: Part) -> s.Selected:
        return s.Selected(self._expression(record), self._word(field), self._place(tree))

    def _primed(self, tree: Node, operand: Part) -> s.Primed:
        return s.Primed(self._expression(operand), self._place(tree))

    def _amended(self, tree: Node, record: Part, *changes: Part) -> s.Amended:
        pairs = tuple(
            (self._word(_tree(change).children[0]), self._expression(_tree(change).children[1])) for change in changes
        )
        return s.Amended(self._expression(record), pairs, self._place(tree))

    def _binders(self, part: Part) -> tuple[s.Binder, ...]:
        return tuple(self._binder(_tree(child)) for child in _tree(part).children)

    def _binder(self, tree: Node) -> s.Binder:
        *names, domain, to = tree.children
        return s.Binder(self._words(names), self._expression(domain), self._optional(to))

    def _comprehension(self, tree: Node, binders: Part, body: Part) -> s.Comprehension:
        return s.Comprehension(self._binders(binders), self._expression(body), self._place(tree))

    def _everywhere(self, tree: Node, value: Part) -> s.Everywhere:
        return s.Everywhere(self._expression(value), self._place(tree))

    def _quantified(self, tree: Node, kind: Part, binders: Part, body: Part) -> s.Quantified:
        return s.Quantified(str(kind) == "forall", self._binders(binders), self._expression(body), self._place(tree))

    def _conditional(self, tree: Node, condition: Part, then: Part, otherwise: Part) -> s.Conditional:
        return s.Conditional(
            self._expression(condition), self._expression(then), self._expression(otherwise), self._place(tree)
        )

    def _match(
        self, tree: Node, value: Part, _word_is: Part, case: Part, content: Part, then: Part, otherwise: Part
    ) -> s.Match:
        return s.Match(
            self._expression(value),
            self._word(case),
            self._word(content),
            self._expression(then),
            self._expression(otherwise),
            self._place(tree),
        )

    def _lambda(self, tree: Node, parameters: Part, body: Part) -> s.Lambda:
        return s.Lambda(self._parameters(parameters), self._expression(body), self._place(tree))


def _tree(part: Part) -> Node:
    assert isinstance(part, Tree)
    return part


def _is(part: Part, kind: str) -> bool:
    return (isinstance(part, Tree) and part.data == kind) or (isinstance(part, LarkToken) and part.type == kind)


def _between(first: Place, last: Place) -> Place:
    return Place(first.file, first.line, first.column, last.end_line, last.end_column)
