"""Writes docs/generated from registrations: features, claims, clauses, behaviours, the ledger, the API."""

import importlib.util
import inspect
import pkgutil
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from lab_evidence import lab_page
from misuse_page import misuse_page
from sphinx.application import Sphinx

from linuxmm.oracle.built import built_of, feature_rows, load_all
from linuxmm.oracle.experiment_command import load_experiments
from linuxmm.oracle.experiments.plot import draw
from linuxmm.oracle.experiments.record import read
from linuxmm.oracle.live.vectors import read_vectors
from linuxmm.oracle.theorems import read_theorems
from linuxmm.proofs.ledger import Entry, entries_by_clause, find_ledger, read_ledger
from linuxmm.spec.alloc.page_state import Layout, Pages, Span, all_free, learn_owned
from linuxmm.spec.alloc.pages import Alloc, Done, Free, Granted, Observed, Op, apply, permits
from linuxmm.spec.claim_table import CLAIMS, find_claim
from linuxmm.spec.experiment import Experiment, Figure, Outcome, experiments
from linuxmm.spec.feature import Feature
from linuxmm.spec.feature_table import FEATURES
from linuxmm.spec.invariant import Clause, clauses
from linuxmm.spec.kernel import Behaviour, behaviours, parse_version
from linuxmm.spec.registry import Built, Registration, Theorem
from linuxmm.spec.vocabulary import ZoneType

RELEASES: Final = (
    "2.4.0", "2.6.11", "2.6.22", "2.6.24", "2.6.28", "2.6.32", "2.6.35", "3.5", "3.15", "4.0", "4.4", "4.8",
    "4.12", "4.20", "5.0", "5.4", "5.10", "5.14", "6.1", "6.6", "6.12", "6.18",
)  # fmt: skip
DOCUMENTED: Final = ("linuxmm.spec", "linuxmm.model")
RECORDS: Final = Path(__file__).parents[1] / "experiments"
"""What `linuxmm experiment CLAIM --json` printed, by claim."""

VECTORS: Final = Path(__file__).parents[2] / "tests" / "vectors" / "vm" / "errno.json"

Proofs = Mapping[str, tuple[Entry, ...]]
"""Clause -> the theorems of the ledger that name it and hold."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", lambda app: generate(Path(app.srcdir) / "generated"))
    app.connect("autodoc-process-docstring", _verbatim)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def generate(target: Path) -> None:
    """Write every page; a page that has not changed is not touched, so that Sphinx builds what is new."""
    load_all()
    pages = dict(_pages())
    for path, text in pages.items():
        file = target / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
    for file in target.rglob("*"):
        if file.is_file() and str(file.relative_to(target)) not in pages:
            file.unlink()
    for folder in [path for path in target.iterdir() if path.is_dir() and not any(path.iterdir())]:
        shutil.rmtree(folder)


def _pages() -> Iterator[tuple[str, str]]:
    theorems = read_theorems()
    proofs = entries_by_clause(read_ledger(find_ledger()).theorems)
    yield "features/index.md", _feature_index()
    for feature in FEATURES:
        built = built_of(feature.id)
        if built.behaviours:
            yield f"features/{feature.id}.svg", timeline(built.behaviours)
        yield f"features/{feature.id}.md", feature_page(feature, built, proofs)
    yield "vm-vectors.md", _vectors_page()
    load_experiments()
    yield "claims.md", _claims_page()
    for experiment in experiments():
        outcome = read(RECORDS / f"{experiment.claim}.json").outcome
        title = f"{experiment.claim}: {experiment.title}"
        yield f"claims/{experiment.claim}.svg", draw(outcome.curves, title, ".svg").decode()
        yield f"claims/{experiment.claim}.md", claim_page(experiment, outcome)
    yield "clauses.md", _clauses_page(proofs)
    yield "behaviours.md", _behaviours_page()
    yield "page-states.md", _page_states()
    yield "lab.md", lab_page()
    yield "misuse.md", misuse_page()
    yield "ledger.md", _ledger_page(theorems)
    yield from _api_pages()
    yield from _outputs()


def feature_page(feature: Feature, built: Built, proofs: Proofs) -> str:
    """One feature: definition, versions, sources, what differs from the seed, and all that is registered."""
    releases = f"since {feature.since}" if feature.since else "none"
    if feature.until:
        releases = f"{feature.since} to {feature.until}"
    parts = [f"# {feature.id}: {md(feature.title)}\n\n{md(feature.summary)}\n"]
    facts = [
        ("Releases", md(releases)),
        ("Status", feature.status.value),
        ("Area", feature.area.value),
        ("Seed", md(feature.seed)),
        ("Seen in", md(feature.observable) or "nothing that a running kernel shows"),
        ("Sources", "; ".join(f"`{source}`" for source in feature.sources)),
    ]
    parts.append(_table(("", ""), facts))
    if feature.corrects:
        parts.append(f"## What differs from the seed\n\n{md(feature.corrects)}\n")
    if built.clauses:
        rows = [
            (f"`{c.id}`", md(c.sentence), proof_status(c, proofs), f"`{c.source}`") for c in built.clauses
        ]
        parts.append("## Clauses\n\n" + _table(("clause", "property", "proof", "source"), rows))
    if built.behaviours:
        parts.append(f"## Behaviours by release\n\n![Behaviours by release]({feature.id}.svg)\n")
        parts.append(_behaviour_table(built.behaviours))
    if built.formulas:
        parts.append("## Formulas\n\n" + _registrations(built.formulas))
    if built.verbs:
        parts.append("## Steps of the model\n\n" + _registrations(built.verbs))
    if built.theorems:
        parts.append("## Theorems\n\n" + _theorem_table(built.theorems))
    if built.evidence:
        parts.append("## Evidence\n\n" + "\n".join(f"- {md(item.capture)}" for item in built.evidence) + "\n")
    if not built.docs:
        parts.append("Nothing of this feature is specified yet.\n")
    return "\n".join(parts)


def proof_status(clause: Clause, proofs: Proofs) -> str:
    """By which theorems of the ledger the clause is proved, and by which only within bounds."""
    parts = []
    for word, bounded in (("proved", False), ("bounded", True)):
        ids = [f"`{t.id}`" for t in proofs.get(clause.id, ()) if (t.result != "proved") == bounded]
        if ids:
            parts.append(f"**{word}**: {', '.join(ids)}")
    return "; ".join(parts) or "checked by tests only"


def _vectors_page() -> str:
    """The vectors of system calls: how many, by call and by what is expected."""
    vectors = read_vectors(VECTORS)
    parts = [
        "# System calls on areas: vectors\n\n",
        f"{len(vectors)} cases, in `tests/vectors/vm/errno.json`; each holds on the model of every version "
        "that it is for, and on the kernel at hand ([](../formats/vm-calls.md)).\n\n",
    ]
    names = sorted({vector.name for vector in vectors})
    rows = []
    for name in names:
        own = [vector for vector in vectors if vector.name == name]
        errors = sorted({vector.expect for vector in own if not vector.expect.startswith("=")})
        done = sum(vector.expect.startswith("=") for vector in own)
        rows.append((f"`{name}`", str(len(own)), str(len(own) - done), ", ".join(errors)))
    parts.append(_table(("call", "cases", "refused", "error numbers"), rows))
    for name in names:
        cases = [
            (
                f"`{vector.id}`",
                vector.expect.lstrip("="),
                _releases(vector.since, vector.until),
                md(vector.why),
            )
            for vector in vectors
            if vector.name == name
        ]
        parts.append(f"\n## {name}\n\n" + _table(("case", "result", "releases", "what it is"), cases))
    return "".join(parts)


def _releases(since: str, until: str) -> str:
    return f"{since} to {until}" if until else f"since {since}"


def timeline(entries: tuple[Behaviour, ...]) -> str:
    """An SVG of which behaviour of each rule holds in which release."""
    left, cell, row = 330, 30, 20
    versions = [parse_version(release) for release in RELEASES]
    width, height = left + cell * len(RELEASES) + 10, 60 + row * len(entries)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        'font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for column, release in enumerate(RELEASES):
        x = left + cell * column + cell // 2
        lines.append(f'<text x="{x}" y="45" transform="rotate(-60 {x} 45)">{release}</text>')
    for line, entry in enumerate(entries):
        y = 55 + row * line
        lines.append(f'<text x="4" y="{y + 13}">{entry.rule}: {entry.name}</text>')
        for column, version in enumerate(versions):
            if entry.applies(version):
                place = f'x="{left + cell * column}" y="{y + 3}" width="{cell}" height="{row - 6}"'
                lines.append(f'<rect {place} fill="#3b6ea5"/>')
    return "\n".join([*lines, "</svg>\n"])


def _feature_index() -> str:
    rows = [
        (
            f"[{r.id}]({r.id}.md)",
            md(r.seed),
            md(r.title),
            md(r.since),
            md(r.until),
            r.status,
            *(str(n) if n else "-" for n in (r.spec, r.model, r.proofs, r.fast, r.evidence)),
        )
        for r in feature_rows()
    ]
    head = (
        "id",
        "seed",
        "feature",
        "since",
        "until",
        "status",
        "spec",
        "model",
        "proofs",
        "fast",
        "evidence",
    )
    names = "\n".join(feature.id for feature in FEATURES)
    toc = f"```{{toctree}}\n:hidden:\n\n{names}\n```\n"
    return f"# Features\n\nThe counts are of registrations.\n\n{_table(head, rows)}\n{toc}"


def _claims_page() -> str:
    done = {experiment.claim for experiment in experiments()}
    rows = [
        (
            f"[{c.id}](claims/{c.id}.md)" if c.id in done else c.id,
            md(c.seed),
            md(c.statement),
            md(c.experiment),
            md(read(RECORDS / f"{c.id}.json").outcome.standing.value) if c.id in done else "-",
            " ".join(f"[{f}](features/{f}.md)" for f in c.features),
        )
        for c in CLAIMS
    ]
    names = "\n".join(f"claims/{claim}" for claim in sorted(done))
    toc = f"```{{toctree}}\n:hidden:\n\n{names}\n```\n"
    head = ("id", "seed", "claim", "experiment", "result", "features")
    return f"# Claims\n\n{_table(head, rows)}\n{toc}"


def claim_page(experiment: Experiment, outcome: Outcome) -> str:
    """One claim: what it says, what was run, the figures, the plot, and the verdict in words."""
    claim = find_claim(experiment.claim)
    facts = [
        ("Claim", md(claim.statement)),
        ("Reported", md(experiment.reported)),
        ("**Found**", f"**{md(outcome.standing.value)}**"),
        ("Known from", md(claim.basis)),
        ("Kernels", md(experiment.versions)),
        ("Workload", md(experiment.workload)),
        ("Left out", "; ".join(md(text) for text in experiment.left_out)),
        ("Features", " ".join(f"[{f}](../features/{f}.md)" for f in claim.features)),
        ("Source", f"`{experiment.source}`"),
    ]
    parts = [f"# {claim.id}: {md(experiment.title)}\n", _table(("", ""), facts)]
    parts.append(f"## Verdict\n\n{md(outcome.why)}\n")
    parts.append(f"![{md(experiment.title)}]({claim.id}.svg)\n")
    parts.append(f"## Figures\n\n`linuxmm experiment {claim.id}` prints them.\n")
    counted = [figure for figure in outcome.figures if not figure.timed]
    parts.append(_figure_table(counted))
    timed = [figure for figure in outcome.figures if figure.timed]
    if timed:
        parts.append("## Times\n\nOf the compiled model, on the machine that recorded them.\n")
        parts.append(_figure_table(timed))
    return "\n".join(parts)


def _figure_table(figures: Iterable[Figure]) -> str:
    """Settings and kernels down, names across."""
    names: dict[str, None] = {}
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for figure in figures:
        names[figure.name] = None
        unit = f" {figure.unit}" if figure.unit else ""
        rows.setdefault((figure.setting, figure.version), {})[figure.name] = f"{figure.value:g}{unit}"
    return _table(
        ("setting", "kernel", *(md(name) for name in names)),
        ((md(s), md(v), *(cells.get(name, "-") for name in names)) for (s, v), cells in rows.items()),
    )


def _clauses_page(proofs: Proofs) -> str:
    rows = [
        (
            f"`{c.id}`",
            md(c.sentence),
            _links(c.features),
            md(_span(c)),
            proof_status(c, proofs),
            f"`{c.source}`",
        )
        for c in clauses()
    ]
    text = (
        "# Clauses\n\nA theorem may prove a clause for some of the steps that it speaks of; the "
        "[ledger](ledger.md) has its sentence and its bounds.\n\n"
    )
    return text + _table(("clause", "property", "features", "releases", "proof", "source"), rows)


def _behaviours_page() -> str:
    parts = ["# Behaviours by rule\n\nA filled cell is a release that has the behaviour.\n"]
    entries = behaviours()
    for rule in sorted({entry.rule for entry in entries}):
        own = [entry for entry in entries if entry.rule == rule]
        rows = [
            (f"`{e.name}`", *("●" if e.applies(parse_version(release)) else "" for release in RELEASES))
            for e in own
        ]
        parts.append(f"## {md(rule)}\n\n{_table(('behaviour', *RELEASES), rows)}\n{_behaviour_table(own)}")
    return "\n".join(parts)


def _page_states() -> str:
    """What may happen to one page, found by asking the rules."""
    layout = Layout((Span(ZoneType.NORMAL, 0, 0, 1),), max_order=0, pageblock_order=0)
    states = {
        "unknown": Pages(layout),
        "free": all_free(layout),
        "owned": learn_owned(all_free(layout), [(0, 0, 0)]),
        "absent": all_free(layout, [(0, 1)]),
    }
    happenings: dict[str, tuple[Op, Observed]] = {
        "granted": (Alloc(0, 0, ZoneType.NORMAL), Granted(0)),
        "given back": (Free(0, 0), Done()),
    }
    rows = []
    for name, state in states.items():
        cells = []
        for op, observed in happenings.values():
            refusals = permits(state, op, observed)
            after = apply(state, op, observed).chunks
            cells.append(
                f"forbidden: `{refusals[0].clause}`"
                if refusals
                else next(n for n, s in states.items() if s.chunks == after)
            )
        rows.append((name, *cells))
    text = (
        "# States of a page\n\nWhat becomes of a page, by what is known of it; found by asking the rules.\n\n"
    )
    return text + _table(("known to be", *happenings), rows)


def _ledger_page(theorems: tuple[Theorem, ...]) -> str:
    if not theorems:
        return "# Ledger of proofs\n\nThe proofs are not installed.\n"
    return "# Ledger of proofs\n\n" + _theorem_table(theorems)


def _theorem_table(theorems: Iterable[Theorem]) -> str:
    rows = [(f"`{t.id}`", md(t.property), f"`{t.function}`", t.method, t.result) for t in theorems]
    return _table(("theorem", "property", "function", "method", "result"), rows)


def _behaviour_table(entries: Iterable[Behaviour]) -> str:
    rows = [
        (
            f"`{e.rule}`",
            f"`{e.name}`",
            _first_line(e.function),
            f"{e.since} to {'now' if e.until.patch == 999 else e.until}",
            " ".join(map(str, e.backports)) or "-",
            f"`{e.source}`",
        )
        for e in entries
    ]
    return _table(("rule", "behaviour", "meaning", "releases", "also in", "source"), rows)


def _registrations(entries: Iterable[Registration]) -> str:
    parts = []
    for entry in entries:
        text = inspect.cleandoc(entry.function.__doc__ or "")
        parts.append(f"`{entry.name}` ({md(entry.source)})\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def _api_pages() -> Iterator[tuple[str, str]]:
    names = [name for package in DOCUMENTED for name in _modules(package)]
    for name in names:
        title = f"{name}\n{'=' * len(name)}\n\n"
        yield f"api/{name}.rst", f"{title}.. automodule:: {name}\n"
    toc = "\n".join(names)
    yield "api/index.md", f"# API\n\n```{{toctree}}\n:maxdepth: 1\n\n{toc}\n```\n"


def _modules(package: str) -> Iterator[str]:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        return
    if spec.origin is not None:
        yield package
    for module in sorted(
        pkgutil.iter_modules(spec.submodule_search_locations, package + "."), key=lambda m: m.name
    ):
        if module.ispkg:
            yield from _modules(module.name)
        else:
            yield module.name


def _outputs() -> Iterator[tuple[str, str]]:
    """What commands print, for the guide."""
    from typer.testing import CliRunner

    from linuxmm.oracle.cli.application import app

    for arguments in (("features", "F012"), ("explain", "alloc.page.double-allocation")):
        result = CliRunner().invoke(app, list(arguments))
        if result.exit_code:
            raise RuntimeError(f"linuxmm {' '.join(arguments)} failed: {result.output}")
        yield f"output/{'-'.join(arguments)}.txt", f"$ linuxmm {' '.join(arguments)}\n{result.output}"
    layout = Layout((Span(ZoneType.NORMAL, 0, 0, 64),))
    asked, got = Alloc(0, 0, ZoneType.NORMAL), Granted(8)
    state = learn_owned(all_free(layout), [(8, 2, 0)])
    answer = "\n".join(f"{refusal.clause}: {refusal.why}" for refusal in permits(state, asked, got))
    yield "output/permits.txt", f">>> permits(state, {asked}, {got})\n{answer}\n"


def _verbatim(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """First line as a sentence, the rest as it stands: docstrings here are tables, not markup."""
    if not lines:
        return
    first = lines[0]
    rest = lines[1:]
    while rest and not rest[0].strip():
        rest.pop(0)
    lines[:] = [_rst(first)]
    if any(line.strip() for line in rest):
        lines += ["", "::", "", *(f"    {line}" for line in rest), ""]


def _rst(text: str) -> str:
    parts = text.split("`")
    plain = [re.sub(r"([\\*_|])", r"\\\1", part) for part in parts[0::2]]
    if len(parts) % 2 == 0:
        return "".join(plain)
    quoted = [f"``{part}``" if part else "" for part in parts[1::2]]
    return "".join(a + b for a, b in zip(plain, [*quoted, ""], strict=True))


def md(text: str) -> str:
    """The text as Markdown that shows it literally, also inside a table."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(p if p.startswith("`") else re.sub(r"([\\*_|<>\[\]#$])", r"\\\1", p) for p in parts)


def _first_line(function: object) -> str:
    return md((inspect.getdoc(function) or "").partition("\n")[0])


def _links(features: Iterable[str]) -> str:
    return " ".join(f"[{f}](features/{f}.md)" for f in features)


def _span(clause: Clause) -> str:
    if not clause.since and not clause.until:
        return "all"
    return f"{clause.since or 'first'} to {clause.until or 'now'}"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = tuple(head)
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
