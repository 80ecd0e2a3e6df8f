"""The commands that certify: init, check, publish, report, replay, key; those of the registry are in `registry`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from certify import __version__
from certify.cli.status import Status, of
from certify_spec.diagnostics import Diagnostic, RequestError, Rule

CLI001 = Rule("CLI001", "The command was called wrongly.", "See `certify --help`.")
CLI002 = Rule("CLI002", "A file cannot be written.", "Choose another place, or make room.")
CLI004 = Rule("CLI004", "The laboratory could not be set up.", "Look at the reason; trying again may help.")
CLI009 = Rule("CLI009", "The command itself failed.", "This is a defect of certify: report it with the text above.")

app = typer.Typer(
    name="certify",
    help="Nothing enters the registry without evidence that anyone can check again.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
ManifestPath = Annotated[Path, typer.Argument(metavar="node.toml", help="The node's manifest.")]
PolicyPath = Annotated[
    Path | None,
    typer.Option("--policy", envvar="CERTIFY_POLICY", help="The organisation's policies: a folder or a .cedar file."),
]
Jobs = Annotated[
    int | None, typer.Option("--jobs", min=1, max=256, help="Runs at a time; by default as many as there is room for.")
]
RegistryPath = Annotated[
    str,
    typer.Option(
        "--registry",
        envvar="CERTIFY_REGISTRY",
        help="The registry's folder, or the address of its service.",
        show_default=True,
    ),
]
DEFAULT_REGISTRY = ".certify/registry"
REPORTS = Path(".certify/reports")

# Some releases of typer come with a copy of click of their own; this finds the class that the one in use raises.
_WRONG_CALL: type[Exception] = next(each for each in typer.BadParameter.__mro__ if each.__name__ == "ClickException")


def run(arguments: list[str]) -> int:
    """Run one command; gives its exit status and prints every error as a diagnostic."""
    from certify.cli.output import Output

    output = Output(as_json="--json" in arguments)
    try:
        result = app(arguments, standalone_mode=False)
    except RequestError as error:
        return _fail(output, error.diagnostics, Status.WRONG_REQUEST)
    except _WRONG_CALL as error:
        message = error.format_message()  # type: ignore[attr-defined]  # what all of its kind have
        if type(error).__name__ == "NoArgsIsHelpError":
            output.errors.print(message)
            return Status.WRONG_REQUEST
        return _fail(output, (Diagnostic(CLI001, message, fix=CLI001.advice),), Status.WRONG_REQUEST)
    except (typer.Abort, KeyboardInterrupt):
        output.errors.print("stopped; nothing was published")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Status.HELD
    except Exception as error:
        return _translate(output, error)
    return int(result) if isinstance(result, int) else Status.HELD


def _translate(output: Any, error: Exception) -> int:
    """Errors that are verdicts or troubles of their own, told as such."""
    from certify.laboratory.reading import LaboratoryError
    from certify.registry.errors import Refused

    if isinstance(error, Refused):
        return _fail(output, error.diagnostics, Status.REFUSED)
    if isinstance(error, LaboratoryError):
        trouble = Diagnostic(CLI004, str(error), fix="try again; if it stays, see docs/laboratory.md")
        return _fail(output, (trouble,), Status.UNDECIDED)
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        return _fail(output, (Diagnostic(CLI002, f"{name}{error.strerror or error}"),), Status.WRONG_REQUEST)
    import traceback

    text = "".join(traceback.format_exception(error)[-3:]).strip()
    defect = Diagnostic(CLI009, f"{type(error).__name__}: {error}", because=text, fix=CLI009.advice)
    return _fail(output, (defect,), Status.UNDECIDED)


def _fail(output: Any, diagnostics: tuple[Diagnostic, ...], status: Status) -> int:
    output.diagnostics(diagnostics, errors=True)
    output.data({"status": int(status), "errors": [diagnostic.to_data() for diagnostic in diagnostics]})
    return int(status)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"certify {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version_asked: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Nothing enters the registry without evidence that anyone can check again."""


# -- check and publish


@app.command()
def check(
    manifest: ManifestPath,
    only: Annotated[list[str] | None, typer.Option("--only", help="Run this check alone; may be repeated.")] = None,
    policy: PolicyPath = None,
    registry: RegistryPath = DEFAULT_REGISTRY,
    jobs: Jobs = None,
    as_json: Json = False,
) -> int:
    """Certify a node without publishing it."""
    from certify.cli import certifying

    certification, report = certifying.certify(manifest, only or [], policy, registry, jobs, as_json=as_json)
    certifying.show(certification, report, as_json=as_json)
    return of(certification.verdict)


@app.command()
def publish(
    manifest: ManifestPath,
    registry: RegistryPath = DEFAULT_REGISTRY,
    key: Annotated[Path | None, typer.Option("--key", help="The signing key's file or folder.")] = None,
    policy: PolicyPath = None,
    jobs: Jobs = None,
    as_json: Json = False,
) -> int:
    """Certify a node, sign the evidence and let the node into the registry."""
    from certify.cli import certifying

    pair = certifying.signing_key(key)
    certification, report = certifying.certify(manifest, [], policy, registry, jobs, as_json=as_json)
    receipt = certifying.submit(certification, report, pair, registry) if certification.publishable else None
    certifying.show(certification, report, receipt, publishing=True, as_json=as_json)
    return of(certification.verdict)


@app.command()
def init(
    entry: Annotated[str, typer.Argument(metavar="[MODULE:FUNCTION]", help="The node's entry point.")],
    folder: Annotated[Path, typer.Option("--folder", help="The folder that the module lies in.")] = Path(),
    as_json: Json = False,
) -> int:
    """Write a node.toml, and an example input, from a function's signature."""
    from certify.cli import scaffolding

    return scaffolding.write(entry, folder, as_json=as_json)


@app.command()
def report(
    subject: Annotated[str, typer.Argument(help="node@version.")],
    form: Annotated[str, typer.Option("--format", help="html, md, json, sarif or junit.")] = "md",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
    registry: RegistryPath = DEFAULT_REGISTRY,
) -> int:
    """Print the report of a published node, from the registry's evidence."""
    from certify.cli import reporting

    return reporting.show(subject, form, output, registry)


@app.command()
def replay(
    manifest: ManifestPath,
    fixture: Annotated[str | None, typer.Option("--fixture", help="Which fixture; by default the first.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="FACTOR=VALUE, such as hash_seed=3 or timezone=Pacific/Auckland.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option("--record", help="A stored run, to be given again byte for byte.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Run a fixture in the pinned surroundings and in changed ones, and show where the two part."""
    from certify.cli import replaying

    if record is not None:
        return replaying.again(manifest, record, as_json=as_json)
    return replaying.compare(manifest, fixture, settings or [], as_json=as_json)


@app.command()
def gate(
    manifests: Annotated[list[Path], typer.Argument(metavar="node.toml …", help="The nodes' manifests.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for JUnit, SARIF and the summary.")] = Path(
        ".certify/gate"
    ),
    policy: PolicyPath = None,
    registry: RegistryPath = DEFAULT_REGISTRY,
    jobs: Jobs = None,
    as_json: Json = False,
) -> int:
    """Certify nodes in a pipeline: one exit status, and JUnit, SARIF and a Markdown summary for all of them."""
    from certify.cli import gating

    return gating.run(manifests, out, policy, registry, jobs, as_json=as_json)


# -- proofs


@app.command()
def verify(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Specifications (.ct), and folders of them.")],
    as_json: Json = False,
    form: Annotated[str, typer.Option("--format", help="table, md, sarif or junit.")] = "table",
    solver: Annotated[str, typer.Option("--solver", help="z3, cvc5 or both.")] = "z3",
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, max=256, help="Worker processes.")] = None,
    limit: Annotated[float, typer.Option("--limit", min=0.01, max=3600, help="Seconds for each question.")] = 10.0,
    budget: Annotated[float, typer.Option("--budget", min=0.1, max=86400, help="Seconds for each machine.")] = 600.0,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Neither use nor keep answers.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="A row for everything, also for what merely can happen.")
    ] = False,
    smt: Annotated[Path | None, typer.Option("--smt", help="Write every obligation as SMT-LIB 2 to a folder.")] = None,
    as_test: Annotated[
        Path | None, typer.Option("--as-test", help="Write the counterexamples as a pytest file.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page with every counterexample.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Verify again on every change, until Ctrl-C.")] = False,
) -> int:
    """Prove specifications, or show a run that breaks them."""
    from certify.cli import verifying

    options = verifying.Options(
        tuple(paths), as_json, form, solver, jobs, limit, budget, not no_cache, every, smt, as_test, html
    )
    return verifying.watch(options) if watch else verifying.run(options)


@app.command()
def generate(
    specs: Annotated[
        list[Path], typer.Argument(metavar="SPEC…", help="Specifications (.ct), folders, or names of shipped patterns.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="The package's folder.")],
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing: refuse what is stale, edited or missing.")
    ] = False,
    sync_only: Annotated[bool, typer.Option("--sync-only", help="Serve plain functions only.")] = False,
    adapters: Annotated[
        list[str] | None, typer.Option("--adapter", help="Also an adapter: opentelemetry or prometheus.")
    ] = None,
    fuse: Annotated[
        str, typer.Option("--fuse", metavar="LAYERS", help="Also one frame for these layers, outermost first.")
    ] = "",
    signature: Annotated[
        str, typer.Option("--signature", help="Of the fused function: `async fetch(user: int) -> bytes`.")
    ] = "",
    imports: Annotated[
        list[str] | None, typer.Option("--import", help="An import statement that the signature needs.")
    ] = None,
    solver: Annotated[str, typer.Option("--solver", help="z3, cvc5 or both.")] = "z3",
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, max=256, help="Worker processes.")] = None,
    limit: Annotated[float, typer.Option("--limit", min=0.01, max=3600, help="Seconds for each question.")] = 10.0,
    budget: Annotated[float, typer.Option("--budget", min=0.1, max=86400, help="Seconds for each machine.")] = 600.0,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Neither use nor keep answers.")] = False,
    as_json: Json = False,
) -> int:
    """Generate Python from proved specifications, shown equal to them; or check what was generated."""
    from certify.cli import generating

    proving = (solver, jobs, limit, budget, not no_cache)
    beside = (tuple(adapters or ()), fuse, signature, tuple(imports or ()))
    options = generating.Options(tuple(specs), out, check, not sync_only, *proving, *beside, as_json)
    return generating.run(options)


@app.command("format")
def format_(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Specifications (.ct), and folders of them.")],
    check: Annotated[bool, typer.Option("--check", help="Write nothing: say which are laid out otherwise.")] = False,
    as_json: Json = False,
) -> int:
    """Lay out specifications."""
    from certify.cli import formatting

    return formatting.run(tuple(paths), check=check, as_json=as_json)


@app.command()
def simulate(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A specification (.ct).")],
    steps: Annotated[int, typer.Option("--steps", min=0, max=100_000, help="At most so many steps.")] = 20,
    seed: Annotated[int, typer.Option("--seed", help="Decides every choice.")] = 0,
    script: Annotated[Path | None, typer.Option("--script", help="Take the steps of this file.")] = None,
    instance: Annotated[str | None, typer.Option("--instance", help="The finite instance to run in.")] = None,
    limit: Annotated[float, typer.Option("--limit", min=0.01, max=3600, help="Seconds that it may take.")] = 60.0,
    as_json: Json = False,
) -> int:
    """Run a specification with the reference interpreter, at random or by a script."""
    from certify.cli import simulating

    return simulating.run(simulating.Options(spec, steps, seed, script, instance, limit, as_json))


@app.command()
def mutate(
    specification: Annotated[Path, typer.Argument(metavar="SPEC", help="A .ct file.")],
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=256, help="Solver processes.")] = 2,
    as_json: Json = False,
) -> int:
    """Break a specification on purpose, and report which breaks its properties miss."""
    from certify.cli import mutating

    return mutating.run(specification, jobs=jobs, as_json=as_json)


@app.command()
def lean(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH…]", help="Packages, .lean or .ndjson files, .ct files with --emit; else the shipped package."
        ),
    ] = None,
    with_lake: Annotated[
        bool, typer.Option("--with-lake", help="Also run the official build, where installed.")
    ] = False,
    emit: Annotated[
        bool, typer.Option("--emit", help="Write the machines of specifications as Lean files instead.")
    ] = False,
    into: Annotated[
        Path | None, typer.Option("--into", help="With --emit: the package to write into; else the shipped one.")
    ] = None,
    compare: Annotated[
        bool, typer.Option("--check", help="With --emit: write nothing, and say what is not current.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Check Lean proofs without Lean: every theorem with its sentence, axioms and verdict."""
    from certify.cli import emitting, proving

    if emit or compare or into is not None:
        options = emitting.Options(tuple(paths or ()), into, write=not compare, asked=emit, with_lake=with_lake)
        return emitting.run(options, as_json=as_json)
    return proving.run(paths or [], with_lake=with_lake, as_json=as_json)


# -- other people's code


@app.command()
def conformance(
    adapters: Annotated[list[Path], typer.Argument(metavar="ADAPTER.py…", help="Adapters, and folders of them.")],
    only: Annotated[list[str] | None, typer.Option("--only", help="This property alone; may be repeated.")] = None,
    faults: Annotated[
        bool, typer.Option("--faults", help="Run the fault campaign: every fault at every place of every journey.")
    ] = False,
    limit: Annotated[
        float, typer.Option("--limit", min=0.1, max=3600, help="Seconds that one scenario may take.")
    ] = 60.0,
    as_json: Json = False,
) -> int:
    """Say which of P1 to P12 a resilience library keeps, with a shortest trace for each that it breaks."""
    from certify.cli import conforming

    return conforming.run(adapters, only or [], faults=faults, limit=limit, as_json=as_json)


# -- keys

key_app = typer.Typer(help="Signing keys.", no_args_is_help=True)
app.add_typer(key_app, name="key")


@key_app.command("new")
def key_new(
    folder: Annotated[Path | None, typer.Option("--folder", help="Where to put it.")] = None, as_json: Json = False
) -> int:
    """Make an Ed25519 signing key."""
    from certify.cli.output import Output
    from certify.evidence.keys import new_key

    pair = new_key(folder)
    output = Output(as_json=as_json)
    output.say(f"key {pair.public.key_id}")
    output.say(f"private half: {pair.file} (keep it to yourself)")
    output.data({"key_id": pair.public.key_id, "file": str(pair.file), "public": pair.public.pem().decode()})
    return Status.HELD


@key_app.command("show")
def key_show(
    folder: Annotated[Path | None, typer.Option("--folder", help="Where it is.")] = None, as_json: Json = False
) -> int:
    """Show the public half of the signing key."""
    from certify.cli.output import Output
    from certify.evidence.keys import load_public

    public = load_public(folder)
    output = Output(as_json=as_json)
    output.say(f"key {public.key_id}")
    output.say(public.pem().decode().rstrip())
    output.data({"key_id": public.key_id, "public": public.pem().decode()})
    return Status.HELD


def _add_registry() -> None:
    from certify.cli.registry import registry_app

    app.add_typer(registry_app, name="registry")


_add_registry()
