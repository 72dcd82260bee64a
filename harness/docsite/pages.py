"""The pages of the documentation site that are made from the spec, as Markdown by path.

Nothing of what they say is written here: clauses, domains, headers, services and QoS come from
`spec/`, what judges a clause from the suite, the planted bugs and the SQL headers, faults from
their catalogue, verbs and exit codes from the command line itself.
"""

from __future__ import annotations

import html
import inspect
import re
from collections import defaultdict
from typing import TYPE_CHECKING

import click

from ampy_conformance import contract as contracts
from ampy_conformance._layout import PACKAGE, room
from ampy_conformance.cli import cli
from ampy_conformance.contract import asyncapi, golden, integration, references
from ampy_conformance.contract.registry import read_yaml
from ampy_conformance.faults import catalogue
from ampy_conformance.gate import rules
from ampy_conformance.history import properties

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ampy_conformance.contract import Contract, Domain
    from ampy_conformance.contract.references import MutantRef, SuiteRef
    from ampy_conformance.contract.registry import Clause

CLAUSE = re.compile(r"\b([A-Z]{3}-(?:\d{2}|[a-z_]+))\b")
AMBIGUITY = re.compile(r"\b(A-\d{2})\b")
CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
VERIFIED = {
    "suite": "the suite, on a live binding",
    "validate": "the validator, on records",
    "planned": "nobody yet",
    "attested": "nobody: no test can show it",
    "project": "this project's own data and tests",
}


def build() -> dict[str, str]:
    """Return every made page by its path in the site; data files among them."""
    contract = contracts.load()
    book = Book(contract)
    document = asyncapi.build(contract)
    pages = {
        "clauses/index.md": "\n".join(book.groups()),
        "ambiguities.md": "\n".join(book.ambiguities()),
        "gate-rules.md": "\n".join(book.gate_rules()),
        "profiles.md": "\n".join(book.profiles()),
        "domains/index.md": "\n".join(book.domains()),
        "headers.md": "\n".join(book.headers()),
        "properties.md": "\n".join(book.properties()),
        "faults.md": "\n".join(book.faults()),
        "mutants.md": "\n".join(book.mutants()),
        "commands.md": "\n".join(commands()),
        "exit-codes.md": "\n".join(exit_codes()),
        "integration-note.md": book.crossed(integration.markdown(contract)),
        "asyncapi.md": "\n".join(asyncapi_page(document)),
        "ampy-bus.asyncapi.yaml": asyncapi.text(document, "yaml"),
        "ampy-bus.asyncapi.json": asyncapi.text(document, "json"),
    }
    for name, clauses in book.by_group.items():
        pages[f"clauses/{name}.md"] = "\n".join(book.group(name, clauses))
    for domain in contract.domains.values():
        pages[f"domains/{domain.name}.md"] = "\n".join(book.domain(domain))
    return pages


class Book:
    """The contract, and what of this project refers to it."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.judges = references.judges(room("conformance"), contract.root)
        self.planted: dict[str, list[MutantRef]] = defaultdict(list)
        for mutant in references.mutants(PACKAGE / "mutants"):
            self.planted[mutant.clause].append(mutant)
        self.by_group: dict[str, list[Clause]] = defaultdict(list)
        for clause in contract.clauses.values():
            self.by_group[clause.group].append(clause)
        self.golden = list(golden.valid(contract))
        self.titles = {
            read_yaml(path)["group"]: path.stem.replace("_", " ")
            for path in sorted((contract.root / "clauses").glob("*.yaml"))
        }

    # -- references ---------------------------------------------------------------------

    def link(self, clause: str, up: str = "") -> str:
        """Return a link to a clause from a page that is `up` away from the site's root."""
        group = self.contract.clauses[clause].group
        return f"[{clause}]({up}clauses/{group}.md#{anchor(clause)})"

    def linked(self, text: str, up: str = "") -> str:
        """Return prose with clauses and ambiguities linked, code left alone."""

        def rest(part: str) -> str:
            return self.crossed(html.escape(part, quote=False), up)

        return outside_code(text.strip(), rest)

    def crossed(self, text: str, up: str = "") -> str:
        """Return Markdown with clauses and ambiguities linked."""

        def clause(found: re.Match[str]) -> str:
            known = found[1] in self.contract.clauses
            return self.link(found[1], up) if known else found[1]

        def ambiguity(found: re.Match[str]) -> str:
            known = found[1] in self.contract.ambiguities
            return f"[{found[1]}]({up}ambiguities.md#{anchor(found[1])})" if known else found[1]

        return AMBIGUITY.sub(ambiguity, CLAUSE.sub(clause, text))

    def links(self, clauses: Iterable[str], up: str = "") -> str:
        """Return links, comma-separated; a dash for none."""
        return ", ".join(self.link(each, up) for each in clauses) or "-"

    # -- clauses ------------------------------------------------------------------------

    def groups(self) -> Iterator[str]:
        """Yield the page of all groups."""
        clauses = self.contract.clauses.values()
        yield "# Clauses\n"
        yield f"{len(clauses)} clauses in {len(self.by_group)} groups. Ids are stable: a clause is"
        yield "never renumbered, only retired. Levels follow RFC 2119.\n"
        yield "| group | about | clauses | MUST | judged by the suite | planted bugs |"
        yield "|---|---|--:|--:|--:|--:|"
        for name, each in self.by_group.items():
            musts = sum(clause.must for clause in each)
            suite = sum(clause.verified == "suite" for clause in each)
            bugs = sum(len(self.planted.get(clause.id, ())) for clause in each)
            link = f"[{name}]({name}.md)"
            yield f"| {link} | {self.titles[name]} | {len(each)} | {musts} | {suite} | {bugs} |"
        yield "\n## All of them\n"
        yield "| clause | level | section | says |"
        yield "|---|---|---|---|"
        for clause in clauses:
            text = cell(self.linked(clause.text, "../"))
            sections = ", ".join(clause.section)
            yield f"| {self.link(clause.id, '../')} | {clause.level} | {sections} | {text} |"

    def group(self, name: str, clauses: list[Clause]) -> Iterator[str]:
        """Yield the page of one group."""
        yield f"# {name}: {self.titles[name]}\n"
        for clause in clauses:
            yield from self.clause(clause)

    def clause(self, clause: Clause) -> Iterator[str]:
        """Yield the part of one clause: its words, why, who judges it, what proves that."""
        yield f"## {clause.id} {{#{anchor(clause.id)}}}\n"
        stated = "" if clause.origin == "stated" else f" ({clause.origin})"
        yield f"**{clause.level}**{stated}, section {', '.join(clause.section)}\n"
        yield f"> {one_line(self.linked(clause.text, '../'))}\n"
        rows = [("why", self.linked(clause.intent, "../"))]
        if clause.condition:
            rows.append(("only if", self.linked(clause.condition, "../")))
        rows += [
            ("binds", f"{clause.subject}; profile `{clause.profile}`"),
            ("seen on", ", ".join(clause.observable)),
            ("judged by", self.judged(clause)),
        ]
        rows += [
            (f"[{each}](../ambiguities.md#{anchor(each)})", self.settled(each))
            for each in clause.ambiguities
        ]
        rows += [("test", test(each)) for each in self.judges.get(clause.id, ())]
        rows += [
            (
                "planted bug",
                f"[`{each.name}`](../mutants.md#{each.name}): {prose(headline(each.doc))}",
            )
            for each in self.planted.get(clause.id, ())
        ]
        rows += [("look at", prose(each)) for each in clause.look]
        yield from definition(rows)
        if self.judges.get(clause.id):
            yield f"```sh\nampy-conform certify DRIVER --clause {clause.id} -v\n```\n"

    def judged(self, clause: Clause) -> str:
        """Say who judges the clause, and why nobody does where nobody does."""
        reason = f": {self.linked(clause.reason, '../')}" if clause.reason else ""
        return f"{VERIFIED[clause.verified]}{reason}"

    def settled(self, name: str) -> str:
        """Return how an ambiguity is settled."""
        return self.linked(self.contract.ambiguities[name].settlement, "../")

    def ambiguities(self) -> Iterator[str]:
        """Yield the page of the ambiguities."""
        yield "# Ambiguities\n"
        yield "Where the contract contradicts itself or stays silent, and how it is read here.\n"
        touched = defaultdict(list)
        for clause in self.contract.clauses.values():
            for name in clause.ambiguities:
                touched[name].append(clause.id)
        for each in self.contract.ambiguities.values():
            yield f"## {each.id} {{#{anchor(each.id)}}}\n"
            yield f"Sections {prose(each.where)}. Clauses: {self.links(touched[each.id])}\n"
            yield f"{self.linked(each.problem)}\n"
            yield f"**Settled:** {self.linked(each.settlement)}\n"

    def profiles(self) -> Iterator[str]:
        """Yield the page of the profiles."""
        yield "# Profiles\n"
        yield "What a binding claims in its driver's answer to `hello`, and passes or fails as a whole."
        yield "`certify --profile` judges some of them only.\n"
        yield "| profile | what | judged | clauses |"
        yield "|---|---|---|---|"
        for each in self.contract.profiles.values():
            clauses = [c.id for c in self.contract.clauses.values() if c.profile == each.name]
            links = self.links(clauses) if clauses else "-"
            yield f"| {code(each.name)} | {cell(each.title)} | {each.judged} | {cell(links)} |"

    def gate_rules(self) -> Iterator[str]:
        """Yield the page of the rules by which a change of the contract is judged."""
        yield "# Rules of changes\n"
        yield "What a change of the contract means for those who keep the old one. The first rule that speaks of"
        yield "a change decides; see [Changes of the contract](contract-gate.md).\n"
        yield "| rule | place | producers | consumers | because |"
        yield "|---|---|---|---|---|"
        for each in rules.load(self.contract.root).rules:
            says = cell(self.linked(each.says))
            yield f"| {each.id} | {code(each.at)} | {each.producers} | {each.consumers} | {says} |"

    # -- domains, headers ---------------------------------------------------------------

    def domains(self) -> Iterator[str]:
        """Yield the page of all domains."""
        yield "# Domains\n"
        yield "| domain | topic | partition key | order | QoS |"
        yield "|---|---|---|---|---|"
        for each in self.contract.domains.values():
            forms = "<br>".join(code(form) for form in topics(each))
            key = code(each.key.form) if each.key.form else "as it was"
            link = f"[{each.name}]({each.name}.md)"
            yield f"| {link} | {forms} | {key} | {each.order.rule} | {each.qos} |"
        yield "\n## QoS classes\n"
        yield "| class | for | publish attempts | handler attempts |"
        yield "|---|---|---|---|"
        for name, facts in self.contract.qos["classes"].items():
            attempts = [
                "{} to {}".format(*facts[each]) for each in ("publish_attempts", "handler_attempts")
            ]
            yield f"| {name} | {facts['title']} | {attempts[0]} | {attempts[1]} |"

    def domain(self, domain: Domain) -> Iterator[str]:
        """Yield the page of one domain."""
        yield f"# {domain.name}\n"
        rows = [("topics", "<br>".join(map(code, topics(domain))))]
        if domain.subtopic_clause:
            rows.append(("form of the subtopic", self.link(domain.subtopic_clause, "../")))
        key = code(domain.key.form) if domain.key.form else "as it was"
        tolerated = "".join(f"; tolerated: {code(each)}" for each in domain.key.tolerated)
        unspecified = "; the contract does not fix it" if domain.key.unspecified else ""
        rows.append(
            (
                "partition key",
                f"{key}{tolerated}{unspecified} ({self.link(domain.key.clause, '../')})",
            )
        )
        if domain.dedupe:
            more = ", and more behind it for later instructions" if domain.dedupe.prefix else ""
            clause = self.link(domain.dedupe.clause, "../")
            rows.append(("dedupe key", f"{code(domain.dedupe.form)}{more} ({clause})"))
        order = domain.order
        by = f" by `{order.field}`" if order.field else ""
        until = f", until `{order.until}`" if order.until else ""
        rows.append(("order", f"{order.rule}{by}{until} ({self.link(order.clause, '../')})"))
        rows.append(
            ("QoS class", f"{domain.qos}: {self.contract.qos['classes'][domain.qos]['title']}")
        )
        if domain.slo:
            clause = self.link(str(domain.slo["clause"]), "../")
            rows.append(("latency", f"p99 within {domain.slo['p99_ms']} ms ({clause})"))
        for service in self.contract.services.services.values():
            for does, flow in service.flows():
                if flow.domain == domain.name and not flow.common:
                    link = f"[{service.name}](../integration-note.md#{service.name})"
                    rows.append((f"who {does}", link))
        yield from definition(rows)
        yield from self.payloads(domain)
        yield from self.examples(domain)

    def payloads(self, domain: Domain) -> Iterator[str]:
        """Yield the payload types of a domain, and where its parts stand in them."""
        if not domain.payloads:
            yield "A dead letter carries whatever it was: the original payload bytes and headers.\n"
            return
        yield "## Payloads\n"
        for each in domain.payloads:
            batch = domain.batches.get(each)
            yield f"- `{each}`" + (f", a batch of `{batch}`" if batch else "")
        for alias, real in domain.aliases.items():
            yield f"- `{alias}`, tolerated as an alias of `{real}`"
        yield "\n| part | stands in |\n|---|---|"
        for part, place in domain.parts.items():
            yield f"| `{part}` | {'the topic' if place.startswith('@') else code(place)} |"
        yield ""

    def examples(self, domain: Domain) -> Iterator[str]:
        """Yield the golden envelopes of a domain: topic and headers."""
        yield "## Golden envelopes\n"
        for each in self.golden:
            if f".{domain.name}." not in each.envelope.topic:
                continue
            yield f"### {prose(each.title)}\n"
            yield f"`{each.name}.json`, on `{each.envelope.topic}`\n"
            yield "```yaml"
            for name, value in each.envelope.headers.items():
                yield f"{name}: {value[:120]}"
            yield "```\n"

    def headers(self) -> Iterator[str]:
        """Yield the page of the headers."""
        yield "# Headers\n"
        yield f"Names are exactly as written here ({self.link('HDR-23')}); unknown headers are"
        yield f"allowed and survive ({self.link('HDR-25')}). The machine-readable form is"
        yield "`schemas/headers.json`.\n"
        for each in self.contract.headers:
            required = "required" if each.required else "optional"
            if each.only_domain:
                required = f"on `{each.only_domain}` only"
            added = ""
            if each.additive:
                added = f", an addition of ours ({self.linked(each.additive)})"
            yield f"## {each.name}\n"
            yield f"{required}{added}. {self.linked(self.contract.clauses[each.clause].text)}\n"
            rows = [("expects", prose(each.expects)), ("example", code(each.example))]
            clauses = [each.clause, *([each.pattern_clause] if each.pattern_clause else [])]
            rows.append(("clauses", self.links(clauses)))
            if each.together:
                rows.append(("together with", ", ".join(map(code, each.together))))
            if each.tolerated:
                shown = ", ".join(code(one) if one else "nothing" for one in each.tolerated)
                rows.append(("tolerated, with a warning", shown))
            if each.constants:
                rows.append(("worth a warning", ", ".join(map(code, each.constants))))
            rows.append(("pattern", code(each.pattern)))
            yield from definition(rows)

    # -- what proves it -----------------------------------------------------------------

    def properties(self) -> Iterator[str]:
        """Yield the page of the temporal properties, from the headers of their SQL."""
        rules = properties.load(self.contract)
        yield "# Temporal properties\n"
        yield f"{len(rules)} properties judge what happened over time. Each is one SQL file in"
        yield "`spec/properties/` that runs over a saved history (`ampy-conform check`), and is stated"
        yield "a second time in plain Python; both must agree on thousands of histories.\n"
        struck = defaultdict(list)
        for fault in catalogue.FAULTS.values():
            for each in fault.properties:
                struck[each].append(f"[{fault.name}](faults.md#{fault.name})")
        for rule in rules:
            yield f"## {rule.name} {{#{rule.name}}}\n"
            yield f"{self.linked(rule.means[:1].upper() + rule.means[1:])}.\n"
            rows = [("clauses", self.links(rule.clauses)), ("severity", rule.severity)]
            rows.append(("put to the test by", ", ".join(struck[rule.name]) or "no fault needed"))
            yield from definition(rows)
            query = rule.violations.strip()
            yield f'??? note "A violation, in SQL"\n\n    ```sql\n{indented(query)}\n    ```\n'

    def faults(self) -> Iterator[str]:
        """Yield the page of the faults."""
        yield "# Faults\n"
        yield f"{len(catalogue.FAULTS)} faults in {len(catalogue.FAMILIES)} families. A fault that did"
        yield "not fire, or gave a property no chance, makes the case inconclusive, never a pass.\n"
        yield "```sh\nampy-conform certify DRIVER --faults all\n```\n"
        for family in catalogue.FAMILIES:
            yield f"## {family}\n"
            for fault in catalogue.FAULTS.values():
                if fault.family != family:
                    continue
                yield f"### {fault.name} {{#{fault.name}}}\n"
                yield f"{self.linked(fault.what)}.\n"
                named = ", ".join(f"[{each}](properties.md#{each})" for each in fault.properties)
                rows = [("needs", ", ".join(fault.needs) or "nothing"), ("judges", named)]
                yield from definition(rows)

    def mutants(self) -> Iterator[str]:
        """Yield the page of the planted bugs."""
        count = sum(map(len, self.planted.values()))
        yield "# Planted bugs\n"
        yield f"{count} mutants: a reference binding with one bug each. `ampy-conform selftest` demands"
        yield "that each is caught by the clause it breaks, in the words it names.\n"
        for clause in self.contract.clauses:
            for each in self.planted.get(clause, ()):
                yield f"## {each.name} {{#{each.name}}}\n"
                yield f"Breaks {self.link(clause)}. {prose(one_line(each.doc))}\n"
                says = [("must be told as", code(each.says))]
                if each.faults:
                    says.append(("shows under", f"[{each.faults}](faults.md#{each.faults})"))
                yield from definition(says)
                yield f"```sh\nampy-conform selftest --mutant {each.name}\n```\n"


# -- the command line -------------------------------------------------------------------


def commands() -> Iterator[str]:
    """Yield the page of the verbs: what `--help` says."""
    yield "# Commands\n"
    for path, each in verbs(groups=True):
        yield f"## {path}\n"
        yield f"```text\n{each.get_help(context(path, each)).rstrip()}\n```\n"


def exit_codes() -> Iterator[str]:
    """Yield the page of exit codes: the table of the verdicts, and what each verb says of its own."""
    yield "# Exit codes\n"
    yield "What the codes of a verdict mean, and which wins where several apply, stands in"
    yield "[Verdicts](verdicts.md).\n"
    yield "| command | exit codes |"
    yield "|---|---|"
    for path, each in verbs(groups=True):
        said = re.search(r"Exit codes: (.+?)\s*\Z", one_line(each.epilog or ""), re.DOTALL)
        if said:
            yield f"| [`{path}`](commands.md#{path.replace(' ', '-')}) | {cell(prose(said[1]))} |"
    yield "\nEvery other command exits with 0, with 2 where it was asked for something that cannot be,"
    yield "and with 3 where the harness, a broker or a driver is in trouble.\n"


def verbs(*, groups: bool = False) -> Iterator[tuple[str, click.Command]]:
    """Yield (words, command) of every verb; of those that only hold others where asked for."""

    def walk(path: str, group: click.Group) -> Iterator[tuple[str, click.Command]]:
        bare = click.Context(group, info_name=path)
        for name in group.list_commands(bare):
            each = group.get_command(bare, name)
            assert each is not None
            if groups or not isinstance(each, click.Group):
                yield f"{path} {name}", each
            if isinstance(each, click.Group):
                yield from walk(f"{path} {name}", each)

    yield from walk("ampy-conform", cli)


def context(path: str, command: click.Command) -> click.Context:
    """Return a context in which a command's help has a fixed width."""
    return click.Context(
        command,
        info_name=path,
        terminal_width=96,
        max_content_width=96,
        help_option_names=["--help"],
    )


def asyncapi_page(document: dict[str, object]) -> Iterator[str]:
    """Yield the page that hands the AsyncAPI document out."""
    channels, operations = document["channels"], document["operations"]
    assert isinstance(channels, dict)
    assert isinstance(operations, dict)
    yield "# AsyncAPI\n"
    yield "The whole contract as an AsyncAPI 3.0 document:"
    yield "[ampy-bus.asyncapi.yaml](ampy-bus.asyncapi.yaml) and"
    yield "[ampy-bus.asyncapi.json](ampy-bus.asyncapi.json). It comes from the spec as everything"
    yield "here; `ampy-conform spec asyncapi` writes it, `--service NAME` with one service's"
    yield "operations only.\n"
    yield f"{len(operations)} operations on {len(channels)} channels:\n"
    yield "| channel | address | Kafka topic | JetStream stream |"
    yield "|---|---|---|---|"
    for name, each in channels.items():
        kafka, stream = each["bindings"]["kafka"]["topic"], each["x-nats-stream"]["name"]
        yield f"| {name} | `{each['address']}` | `{kafka}` | `{stream}` |"


# -- words ------------------------------------------------------------------------------


def topics(domain: Domain) -> list[str]:
    """Return the forms of a domain's topics."""
    forms = dict.fromkeys(each.form for each in domain.subtopics) or {"{domain}": None}
    versions = sorted({each.split(".")[-2] for each in domain.payloads}) or ["v1"]
    return [f"ampy.{{env}}.{domain.name}.{each}.{form}" for each in versions for form in forms]


def test(ref: SuiteRef) -> str:
    """Return what judges a clause: a test of the suite, or a temporal property."""
    if ref.file.endswith(".sql"):
        return f"[`{ref.name}`](../properties.md#{ref.name}), over histories: {prose(ref.doc)}"
    return f"`{ref.file}::{ref.name}`: {prose(ref.doc)}"


def anchor(name: str) -> str:
    """Return the anchor of a clause or ambiguity."""
    return name.lower()


def headline(doc: str) -> str:
    """Return the first paragraph of a docstring."""
    return one_line(inspect.cleandoc(doc).partition("\n\n")[0])


def one_line(text: str) -> str:
    """Return the text with all white space as single blanks."""
    return " ".join(text.replace("\b", "").split())


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Apply a change to what is not between backticks."""
    found, place = [], 0
    for each in CODE.finditer(text):
        found += [change(text[place : each.start()]), code(each[2])]
        place = each.end()
    return "".join([*found, change(text[place:])])


def prose(text: str) -> str:
    """Return text of the spec as Markdown in which nothing is taken for HTML."""
    return outside_code(text, lambda each: html.escape(each, quote=False))


def code(text: str) -> str:
    """Return text as code that survives in a table, whatever it holds."""
    return f"<code>{html.escape(text, quote=False).translate(INERT)}</code>"


# What Markdown would read within an HTML element, and what ends a cell of a table.
INERT = {ord(each): f"&#{ord(each)};" for each in "|*_`[]\\{}~^!:@#$"}


def cell(text: str) -> str:
    """Return Markdown as the cell of a table."""
    return one_line(text).replace("|", "&#124;")


def definition(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield a table of two columns without a head."""
    yield "| | |\n|---|---|"
    for name, text in rows:
        yield f"| {name} | {cell(text)} |"
    yield ""


def indented(text: str) -> str:
    """Return the lines of a block within a block."""
    return "\n".join(f"    {each}" for each in text.splitlines())
