"""What calls do: functions of the node are bound, external ones looked up, capabilities named.

Rules this module keeps:

- a function handed to code outside the folder is called there, with anything that was handed over beside it;
- what an external call returns holds what it was given;
- a call of something the walk does not know is a blind spot.
"""

from __future__ import annotations

import ast
import re
from typing import Final

from certify.analysis import catalogue, targets
from certify.analysis.engine import Engine, union
from certify.analysis.model import Kind
from certify.analysis.targets import Arguments
from certify.analysis.values import (
    DATA,
    NOTHING,
    PLAIN,
    REPORTED,
    Bound,
    Capability,
    ClassInfo,
    Context,
    Data,
    External,
    Func,
    Getter,
    Instance,
    Method,
    Obj,
    Opaque,
    Operation,
    OwnClass,
    Parent,
    Registry,
    Store,
    Text,
    Unit,
    Value,
    Values,
)
from certify.manifest.model import Mode

_READING_OPERATIONS: Final = {
    "http": {"get", "head", "options"},
    "kv": {"get", "keys"},
    "blob": {"read", "names"},
    "db": {"query"},
    "dedupe": {"seen"},
    "clock": {"now", "monotonic", "sleep"},
    "random": {"random", "randbytes", "choice", "uuid"},
    "secrets": {"get"},
    "budget": {"left"},
}
_PLAIN_RESULTS: Final = re.compile(
    r"builtins\.(len|str|int|float|bool|bytes|repr|hash|ord|chr|format|isinstance|issubclass|callable|hasattr|print|any|all)"
    r"|json\.dumps?|hashlib\..*|hmac\..*|re\..*|math\..*|logging\..*|functools\.(wraps|update_wrapper)|warnings\..*"
    r"|urllib\.parse\..*|struct\..*|base64\..*"
)
_TEXT_PATHS: Final = frozenset({"os.path.dirname", "os.path.abspath", "os.path.realpath", "os.path.normpath"})
_NATIVE: Final = frozenset({"ctypes", "cffi", "_ctypes", "_cffi_backend"})


class Calls(Engine):
    """Calls and mentions."""

    def attribute(self, values: Values, name: str, node: ast.AST) -> Values:
        """Overridden: the attribute `name` of the values."""
        raise NotImplementedError

    # -- dispatch -------------------------------------------------------------------------------------------------

    def call(self, values: Values, args: Arguments, node: ast.AST, text: str = "") -> Values:
        """What a call of any of the values returns."""
        results: list[Values] = []
        if not values and self.recording:
            self.blind(text or self.written(node), "is not a function that the analysis can follow", node)
            return self.escape(args.every(), node)
        for value in values:
            match value:
                case Func(unit, spread):
                    results.append(self.call_unit(unit, args, node, spread=spread))
                case Method(unit, receiver):
                    results.append(self.call_method(unit, receiver, args, node))
                case OwnClass(info):
                    results.append(self.construct(info, args, node))
                case Obj():
                    results.append(self.call_object(value, args, node))
                case External(name):
                    results.append(self.call_external(name, args, node))
                case Bound():
                    results.append(self.call_bound(value, args, node))
                case Operation():
                    results.append(self.operate(value, args, node))
                case _:
                    results.append(self.call_other(value, args, node, text))
        return union(results)

    def call_other(self, value: Value, args: Arguments, node: ast.AST, text: str) -> Values:
        """Calls of data, of the context's stores, and of what the walk does not know."""
        match value:
            case Store(kind):
                named = args.get(0, "name")
                known = targets.texts(named)
                return frozenset(Capability(kind, name) for name in known or ()) or frozenset(
                    {Capability(kind, "", exact=False)}
                )
            case Getter(name):
                found = union(self.attribute(frozenset({v}), name, node) for v in args.every())
                self.mention(found, node)
                return found | PLAIN | self.call(found - PLAIN, Arguments(), node)
            case Registry(unit):
                for other in args.every():
                    if isinstance(other, Func):
                        self.reach(other.unit, node)
                        self.fill(other.unit, union(self.parameter_values(unit)) | PLAIN)
                return args.every() | PLAIN
            case Opaque(reported):
                if not reported:
                    self.blind(text or self.written(node), "is not a function that the analysis can follow", node)
                return self.escape(args.every(), node) | {value}
            case Context() | Parent():
                self.blind(text or self.written(node), "calls what is not a function", node)
                return REPORTED
            case _:
                return self.escape(args.every(), node)

    def parameter_values(self, unit: Unit) -> list[Values]:
        """What is known of each parameter."""
        return [self.read(unit.scope.cell(parameter.arg)) for parameter in unit.every_parameter]

    # -- functions and classes of the node ------------------------------------------------------------------------

    def call_unit(self, unit: Unit, args: Arguments, node: ast.AST, *, spread: bool = False, skip: int = 0) -> Values:
        """Bind the arguments to a function's parameters; its results so far."""
        self.reach(unit, node)
        if spread or args.has_star:
            self.fill(unit, args.every(), skip_first=bool(skip))
        parameters = unit.parameters[skip:]
        definition = None if isinstance(unit.node, ast.Module) else unit.node.args
        for index, values in enumerate(args.positional):
            if index < len(parameters):
                self.join(unit.scope.cell(parameters[index]), values)
            elif definition and definition.vararg:
                self.join(unit.scope.cell(definition.vararg.arg), values)
        names = {parameter.arg for parameter in unit.every_parameter}
        for name, values in args.keywords.items():
            if name in names:
                self.join(unit.scope.cell(name), values)
            elif definition and definition.kwarg:
                self.join(unit.scope.cell(definition.kwarg.arg), values)
        return self.read(unit.results)

    def call_method(self, unit: Unit, receiver: Value, args: Arguments, node: ast.AST) -> Values:
        """Call a method with its receiver."""
        self.receive(unit, frozenset({receiver}), node)
        return self.call_unit(unit, args, node, skip=0 if unit.flavour == "static" else 1)

    def construct(self, info: ClassInfo, args: Arguments, node: ast.AST) -> Values:
        """Make an object: run what its class and metaclass say, keep the arguments as attributes."""
        self.instantiate(info, node)
        made: Values = frozenset({Obj(info)})
        own_init = False
        for name in ("__new__", "__init__", "__post_init__"):
            for value in self.class_attribute(info, name):
                if isinstance(value, Func):
                    own_init = own_init or name == "__init__"
                    results = self.call_method(value.unit, Obj(info), args, node)
                    made = made | (results - PLAIN if name == "__new__" else NOTHING)
        if not own_init:
            self.keep_fields(info, args)
        foreign = frozenset(b for b in info.foreign_bases() if isinstance(b, External))
        for base in foreign:
            known = self.entry(base.name)
            if known and known.verdict == "effect" and isinstance(node, ast.Call):
                self.call_external(base.name, args, node)
        if foreign and info not in self._constructing:
            self._constructing.add(info)  # what is handed over may hold the class itself
            try:
                self.escape(args.every(), node)
            finally:
                self._constructing.discard(info)
        return made

    def keep_fields(self, info: ClassInfo, args: Arguments) -> None:
        """Arguments of a class without its own `__init__` become attributes: data classes, models, named tuples."""
        order = [name for ancestor in reversed(info.lineage()) for name in ancestor.order]
        for index, values in enumerate(args.positional):
            for name in [order[index]] if index < len(order) and not args.has_star else order:
                self.join(info.field_cell(name), values)
        for name, values in args.keywords.items():
            self.join(info.field_cell(name), values)
        for name in order if args.has_star else ():
            self.join(info.field_cell(name), args.starred)

    def class_attribute(self, info: ClassInfo, name: str) -> Values:
        """What the class bodies of the lineage bind to a name; the nearest class that binds it decides."""
        for ancestor in info.lineage():
            self.read(ancestor.bases)
            if name in ancestor.scope.bound:
                return self.read(ancestor.scope.cell(name))
        return NOTHING

    def call_object(self, value: Obj, args: Arguments, node: ast.AST) -> Values:
        """Call an object of one of the node's classes."""
        found = [v for v in self.class_attribute(value.info, "__call__") if isinstance(v, Func)]
        results = [self.call_method(f.unit, value, args, node) for f in found]
        if not found and value.info.foreign_bases():
            return self.escape(args.every(), node)
        return union(results)

    # -- what is handed to code outside the folder ----------------------------------------------------------------

    def escape(self, values: Values, node: ast.AST) -> Values:
        """Hand values to code outside the folder: functions among them are called there. What may come back."""
        beside = frozenset(v for v in values if not isinstance(v, (Text, Data))) | PLAIN
        given = Arguments(starred=beside, has_star=True)
        results: list[Values] = [beside]
        for value in beside:
            match value:
                case Func(unit):
                    results.append(self.call_unit(unit, given, node, spread=True))
                case Method(unit, receiver):
                    results.append(self.call_method(unit, receiver, given, node))
                case OwnClass(info):
                    results.append(self.construct(info, given, node))
                case Obj() if self.class_attribute(value.info, "__call__"):
                    results.append(self.call_object(value, given, node))
                case Getter():
                    results.append(self.call_other(value, Arguments(starred=beside - {value}, has_star=True), node, ""))
                case External(name):
                    known = self.entry(name)
                    if known and known.returns:
                        results.append(frozenset({Instance(known.returns, "", exact=False)}))
                    if name == "builtins.getattr":
                        self.blind("getattr", "is handed over as a function, with names the text does not show", node)
                case Capability() | Context() | Store():
                    pass
                case _:
                    pass
        return union(results)

    # -- external names -------------------------------------------------------------------------------------------

    def mention_external(self, name: str, node: ast.AST) -> None:
        """An external function that is mentioned counts as called in the worst way."""
        if catalogue.is_namespace(name) and not self.type_only:
            return
        known = self.entry(name)
        if known is None:
            if catalogue.is_module(name) or catalogue.lookup(name + ".*"):
                return
            self.blind(name, why_unknown(name), node)
        elif known.verdict == "unknown":
            if not catalogue.is_module(name):
                self.blind(name, known.reason, node)
        else:
            self.apply(known, name, None, NOTHING, node)

    def mention_other(self, value: object, node: ast.AST) -> None:
        """A method of an external object or of a capability that is mentioned counts as called."""
        match value:
            case Bound(instance, name):
                known = catalogue.method(instance.type, name)
                if known is None or known.verdict == "unknown":
                    self.blind(f"{instance.type}.{name}", known.reason if known else why_unknown(instance.type), node)
                else:
                    self.apply(known, f"{instance.type}#{name}", None, frozenset({instance}), node)
            case Operation():
                self.operate(value, None, node)
            case _:
                pass

    def call_external(self, name: str, args: Arguments, node: ast.AST) -> Values:
        """Call a function or class outside the folder."""
        special = getattr(self, "_call_" + name.replace(".", "_"), None)
        if special is not None:
            return special(args, node)  # type: ignore[no-any-return]  # found by name among the methods below
        if name in _TEXT_PATHS or name == "os.path.join":
            found = self._path_function(name, args)
            if found:
                return found
        known = self.entry(name)
        handed = self.escape(args.every(), node)
        if known is None or known.verdict == "unknown":
            self.blind(name, known.reason if known else why_unknown(name), node)
            return handed | REPORTED
        self.housekeeping(name, node)
        self.apply(known, name, args, NOTHING, node)
        if known.returns:
            return self._opened(known, name, args) | self._callers(args)
        return PLAIN if _PLAIN_RESULTS.fullmatch(name) else handed

    def _callers(self, args: Arguments) -> Values:
        return frozenset(v for v in args.every() if isinstance(v, (Func, Method)))

    def _opened(self, known: catalogue.Known, name: str, args: Arguments) -> Values:
        if known.returns == "pathlib.Path" and args.count > 1:
            return frozenset(Instance(known.returns, text, exact) for text, exact in targets.joined(args.positional))
        if known.target is not None and known.target >= 0:
            given = args.get(known.target, *_TARGET_NAMES)
            if known.kind is Kind.NETWORK or known.returns.endswith(("Connection", "PoolManager")):
                return self._connected(known, name, args)
            return targets.instances(known.returns, given)
        if known.keyword:
            return targets.instances(known.returns, args.get(-1, known.keyword))
        return frozenset({Instance(known.returns)})

    def _connected(self, known: catalogue.Known, name: str, args: Arguments) -> Values:
        if known.kind is Kind.DB:
            return targets.instances(known.returns, args.get(known.target or 0, *_TARGET_NAMES))
        found = self._addresses(known, name, args, NOTHING)
        return frozenset(Instance(known.returns, f"//{address}" if address else "", bool(address)) for address in found)

    def call_bound(self, value: Bound, args: Arguments, node: ast.AST) -> Values:
        """Call a method of an external object."""
        known = catalogue.method(value.instance.type, value.name)
        name = f"{value.instance.type}#{value.name}"
        handed = self.escape(args.every(), node)
        answered = known is not None and known.verdict == "effect" and value.instance.type in _ANSWERING
        handed = handed if answered else handed | {value.instance}
        if known is None or known.verdict == "unknown":
            self.blind(f"{value.instance.type}.{value.name}", known.reason if known else why_unknown(name), node)
            return handed | REPORTED
        self.housekeeping(name, node)
        self.apply(known, name, args, frozenset({value.instance}), node)
        if value.instance.type == "pathlib.Path" and value.name in {"joinpath", "with_segments"}:
            parts: list[Values] = [frozenset({value.instance}), *args.positional]
            return frozenset(Instance("pathlib.Path", text, exact) for text, exact in targets.joined(parts))
        if value.instance.type == "pathlib.Path" and value.name in _OTHER_PATHS:
            own = targets.is_own(value.instance.target) and value.name in {"resolve", "absolute"}
            return frozenset({value.instance if own else Instance("pathlib.Path", "", exact=False)})
        if known.returns:
            return targets.instances(known.returns, frozenset({value.instance}))
        return handed

    def apply(self, known: catalogue.Known, name: str, args: Arguments | None, receiver: Values, node: ast.AST) -> None:
        """Record the effect of an entry; without `args` the function is only mentioned, and the worst is assumed."""
        if known.verdict != "effect" or known.kind is None:
            return
        if args is not None and known.pure_from and not args.has_star and args.count >= known.pure_from:
            seed = args.node(0, "seed", "x")
            if not (isinstance(seed, ast.Constant) and seed.value is None):
                return
        mode = self._mode(known, args)
        call = name.replace("#", ".").removeprefix("builtins.")
        if known.fact:
            fact = known.fact if known.fact.isupper() else f"host.{known.fact}"
            self.effect(known.kind, mode, call, node, target=fact, reason=known.reason)
            return
        for target in self._targets(known, name, args, receiver):
            if known.kind is Kind.FS and mode is Mode.READ and targets.is_own(target):
                continue
            if known.kind is Kind.DB and target == ":memory:":
                continue
            self.effect(known.kind, mode, call, node, target=target, exact=True, reason=known.reason)

    def _mode(self, known: catalogue.Known, args: Arguments | None) -> Mode:
        if args is None:
            return Mode.WRITE if known.refine or known.writes_with else known.mode
        if known.writes_with:
            first = args.get(0, "url") or NOTHING
            request = any(isinstance(value, Instance) for value in first)
            given = args.get(1, known.writes_with) is not None or args.has_star or request
            return Mode.WRITE if given else known.mode
        index = known.target if known.target is not None else 0
        match known.refine:
            case "open":
                return targets.open_mode(args.get(index + 1, "mode"), has_star=args.has_star)
            case "verb":
                return targets.verb_mode(args.get(max(index - 1, 0), "method"))
            case "sql":
                return targets.sql_mode(args.get(0, "sql"))
            case _:
                return known.mode

    def _targets(self, known: catalogue.Known, name: str, args: Arguments | None, receiver: Values) -> list[str]:
        if known.kind is Kind.NETWORK:
            return self._addresses(known, name, args, receiver)
        if known.target is None:
            return [""]
        if known.target < 0:
            given: Values | None = receiver
            if any(isinstance(v, Instance) and v.type == "sqlite3.Connection" for v in receiver):
                given = frozenset(Text(v.target, v.exact) for v in receiver if isinstance(v, Instance) and v.target)
        else:
            given = args.get(known.target, *_TARGET_NAMES) if args and not args.has_star else None
            if args and not args.count and not args.has_star and name in _HERE:
                return ["."]
        if known.kind is Kind.ENV:
            return targets.texts(given) or [""]
        return targets.paths(given)

    def _addresses(self, known: catalogue.Known, name: str, args: Arguments | None, receiver: Values) -> list[str]:
        own = next((v for v in receiver if isinstance(v, Instance)), None)
        if known.target is None or args is None or args.has_star:
            return [""]
        if known.target < 0:
            return [own.target.removeprefix("//") if own and own.exact else ""]
        base = own.target if own and own.exact and own.type in _CLIENTS else ""
        given = args.get(known.target, *_TARGET_NAMES)
        default = 443 if "HTTPS" in name else 80 if "HTTPConnection" in name else 0
        port = args.node(known.target + 1, "port")
        return targets.addresses(given, args.node(known.target, *_TARGET_NAMES), port, default, base)

    def _path_function(self, name: str, args: Arguments) -> Values:
        if name == "os.path.join":
            if args.has_star:
                return NOTHING
            return frozenset(Text(text, exact) for text, exact in targets.joined(args.positional)) | NOTHING
        given = args.get(0, "path") or NOTHING
        own = [v for v in given if isinstance(v, Text) and v.exact and targets.is_own(v.text)]
        if name != "os.path.dirname":
            return frozenset(own) if own and len(own) == len(given) else NOTHING
        known = [v for v in given if isinstance(v, Text) and v.exact]
        return frozenset(Text(targets.parent(v.text)) for v in known) if len(known) == len(given) else NOTHING

    # -- special functions ----------------------------------------------------------------------------------------

    def _call_builtins_getattr(self, args: Arguments, node: ast.AST) -> Values:
        owners, names = args.get(0) or NOTHING, args.get(1)
        default = args.get(2) or NOTHING
        known = targets.texts(names)
        if known is None or args.has_star:
            dangerous = frozenset(v for v in owners | args.starred if not isinstance(v, (Data, Text)))
            if not dangerous:
                return PLAIN | default
            self.blind("getattr", "takes an attribute by a name that the text does not show", node)
            return REPORTED | default
        found = union(self.attribute(owners, name, node) for name in known)
        self.mention(found, node)
        return found | default

    def _call_builtins_setattr(self, args: Arguments, node: ast.AST) -> Values:
        owners = args.get(0) or NOTHING
        known = targets.texts(args.get(1))
        values = args.get(2) or NOTHING
        risky = any(not isinstance(v, (Data, Text, Obj)) for v in owners | args.starred)
        if risky:
            self.blind("setattr", "changes a module, a class or an object the analysis does not know", node)
        for value in owners:
            for name in known or ():
                self.join(value.info.field_cell(name) if isinstance(value, Obj) else self.loose(name), values)
            if known is None and isinstance(value, Obj) and values - PLAIN:
                self.blind("setattr", "sets an attribute by a name that the text does not show", node)
        return PLAIN

    def _call_builtins_delattr(self, args: Arguments, node: ast.AST) -> Values:
        return self._call_builtins_setattr(args, node)

    def _call_builtins_hasattr(self, _args: Arguments, _node: ast.AST) -> Values:
        return PLAIN

    def _call_builtins_type(self, args: Arguments, node: ast.AST) -> Values:
        if args.count == 1 and not args.has_star:
            return PLAIN | {OwnClass(v.info) for v in args.every() if isinstance(v, Obj)}
        self.blind("type", "makes a class by hand", node)
        return self.escape(args.every(), node) | REPORTED

    def _call_builtins_super(self, args: Arguments, _node: ast.AST) -> Values:
        owner = self.current.scope.owner
        named = [v.info for v in args.get(0) or () if isinstance(v, OwnClass)]
        found = named or ([owner] if owner else [])
        return frozenset(Parent(info) for info in found) or PLAIN

    def _call_builtins_object___setattr__(self, args: Arguments, node: ast.AST) -> Values:
        return self._call_builtins_setattr(args, node)

    def _call_functools_partial(self, args: Arguments, node: ast.AST) -> Values:
        given = args.get(0) or NOTHING
        rest = Arguments(starred=union([*args.positional[1:], *args.keywords.values()]) | args.starred, has_star=True)
        self.mention(given, node)
        results: set[Value] = set()
        for value in given:
            match value:
                case Func(unit):
                    self.call_unit(unit, rest, node, spread=True)
                    results.add(Func(unit, spread=True))
                case Method(unit, receiver):
                    self.call_method(unit, receiver, rest, node)
                    results |= {value, Func(unit, spread=True)}
                case OwnClass(info):
                    self.construct(info, rest, node)
                    results.add(value)
                case Data() | Text():
                    results.add(DATA)
                case External() | Bound() | Operation():
                    # The mention has counted it in the worst way, whatever the arguments are.
                    results |= PLAIN
                    results |= self.escape(rest.starred | {value}, node)
                case _:
                    results.add(value)
        return frozenset(results)

    _call_functools_partialmethod = _call_functools_partial

    def _call_functools_wraps(self, _args: Arguments, _node: ast.AST) -> Values:
        return PLAIN

    def _call_operator_attrgetter(self, args: Arguments, node: ast.AST) -> Values:
        known = targets.texts(args.get(0))
        if known is None or args.has_star:
            self.blind("operator.attrgetter", "takes an attribute by a name that the text does not show", node)
            return REPORTED
        more = union(args.positional[1:])
        names = {part for text in [*known, *(targets.texts(more) or [])] for part in text.split(".")}
        return frozenset(Getter(name) for name in names)

    def _call_operator_methodcaller(self, args: Arguments, node: ast.AST) -> Values:
        self.escape(union([*args.positional[1:], *args.keywords.values()]), node)
        return self._call_operator_attrgetter(
            Arguments(args.positional[:1], args.nodes[:1], has_star=args.has_star), node
        )

    # -- the context ----------------------------------------------------------------------------------------------

    def operate(self, value: Operation, args: Arguments | None, node: ast.AST) -> Values:
        """Use a capability of the context."""
        capability, name = value.capability, value.name
        call = f"ctx.{capability.kind}.{name}"
        if name.startswith("_"):
            self.blind(call, "reaches behind the capability", node)
            return REPORTED
        mode = Mode.READ if name in _READING_OPERATIONS.get(capability.kind, ()) else Mode.WRITE
        resources = [capability.name]
        if capability.kind == "http":
            given = args.get(0, "upstream") if args is not None and not args.has_star else None
            resources = targets.texts(given) or [""]
            if name == "request" and args is not None:
                mode = targets.verb_mode(args.get(1, "method"))
        kind = Kind(capability.kind)
        names = (targets.texts(args.get(0, "name")) if kind is Kind.SECRETS and args is not None else None) or [""]
        for resource in resources:
            for target in names:
                self.effect(kind, mode, call, node, resource=resource, target=target, reason="uses the context")
        if args is not None:
            return self.escape(args.every(), node)
        return PLAIN


_TARGET_NAMES: Final = [
    "url",
    "file",
    "path",
    "filename",
    "name",
    "host",
    "address",
    "key",
    "src",
    "dst",
    "pathname",
    "database",
    "fullurl",
    "host_name",
    "hostname",
]
_HERE: Final = frozenset({"os.listdir", "os.scandir", "os.walk"})
_CLIENTS: Final = frozenset({"httpx.Client", "aiohttp.ClientSession", "urllib3.PoolManager"})
#: Clients whose requests give answers, which are data and not clients themselves.
_ANSWERING: Final = _CLIENTS | {"requests.Session", "http.client.HTTPConnection"}
_OTHER_PATHS: Final = frozenset(
    [
        "with_name",
        "with_stem",
        "with_suffix",
        "relative_to",
        "absolute",
        "resolve",
        "expanduser",
        "iterdir",
        "glob",
        "rglob",
        "walk",
        "readlink",
        "rename",
        "replace",
        "cwd",
        "home",
        "copy",
        "move",
    ]
)


def why_unknown(name: str) -> str:
    """Why nothing is known of a name outside the folder, in words that follow it."""
    top = name.partition(".")[0].partition("#")[0]
    if top in _NATIVE:
        return "is native code, which can do anything"
    if top == "importlib" or name == "pkgutil":
        return "imports modules by computed names"
    if top in {"pickle", "marshal", "shelve", "dill", "cloudpickle"}:
        return "makes objects and calls of bytes"
    return "is not in the catalogue of known effects"
