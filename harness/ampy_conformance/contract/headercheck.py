"""Judge the headers of one envelope, driven by `spec/headers.yaml`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ampy_conformance.contract.findings import finding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ampy_conformance.contract.findings import Finding
    from ampy_conformance.contract.model import Contract, Domain, Header

# Characters that no header may carry: they could end the header and begin another.
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# How many values of a header are remembered, and how long they may be. What has more of them
# (ids, times) is different on every record, and is sooner judged than looked up.
KNOWN, SHORT = 1024, 256
JSON_TYPES = ("application/json", "text/json")


@dataclass(slots=True)
class _Rule:
    header: Header
    matches: Callable[[str], object]
    lenient: Callable[[str], object] | None
    right: set[str] = field(default_factory=set)  # what was found to be right comes again
    repeats: bool = True

    def remember(self, value: str) -> None:
        """Remember what was right, unless it has become too much: then it is judged each time."""
        self.right.add(value)
        if len(self.right) > KNOWN:
            self.right.clear()
            self.repeats = False


class HeaderCheck:
    """Judges names, presence, forms and joint rules."""

    def __init__(self, contract: Contract, *, strict: bool) -> None:
        self._contract = contract
        self._strict = strict
        self._rules = {each.name: _rule(each) for each in contract.headers}
        self._required = [each.name for each in contract.headers if each.required]
        self._folded = {_fold(each.name): each.name for each in contract.headers}
        # Names that are complete, and their rules: the next record has the same.
        self._complete: dict[tuple[str, ...], list[_Rule]] = {}

    def well_formed(self, name: str, value: str) -> bool:
        """Tell whether a value has the form of its header."""
        return bool(self._rules[name].matches(value))

    def check(
        self,
        headers: Mapping[str, str],
        domain: Domain | None,
        found: list[Finding],
        *,
        env: str | None = None,
        required: bool = True,
        values: bool = True,
    ) -> None:
        """Append the findings against a set of headers."""
        names = tuple(headers)
        if names not in self._complete:
            before = len(found)
            self._presence(headers, found, required=required, names=values)
            if required and len(found) == before and all(name in self._rules for name in names):
                if len(self._complete) >= KNOWN:
                    self._complete.clear()
                self._complete[names] = [self._rules[name] for name in names]
        rules = self._complete.get(names) or map(self._rules.get, names)
        for rule, value in zip(rules, headers.values(), strict=True):
            if rule is None or value in rule.right:
                continue
            header = rule.header
            if (values or header.name == "dlq_reason") and not rule.matches(value):
                self._malformed(rule, value, headers, domain, env, found)
            elif header.constants and value in header.constants:
                wanted = "an id of this run, not a library's default (A-63)"
                found.append(
                    finding(self._contract, header.clause, header.name, value, wanted, "warn")
                )
            elif values and rule.repeats and len(value) <= SHORT:
                rule.remember(value)
        if "traceparent" in headers and values:
            self._trace(headers, found)
        if "blob_ref" in headers or "blob_hash" in headers or "blob_size" in headers:
            self._blob(headers, found)
        if "dlq_reason" in headers and domain is not None and domain.name != "dlq":
            value = headers["dlq_reason"]
            found.append(
                finding(self._contract, "HDR-20", "dlq_reason", value, "none on a live record")
            )

    def _presence(
        self, headers: Mapping[str, str], found: list[Finding], *, required: bool, names: bool
    ) -> None:
        """Judge `names`, and which are missing."""
        misnamed = self._names(headers, found) if names else set()
        for name in self._required if required else ():
            if name not in headers and name not in misnamed:
                missing = self._rules[name].header
                found.append(finding(self._contract, missing.clause, name, None, missing.expects))

    def _names(self, headers: Mapping[str, str], found: list[Finding]) -> set[str]:
        """Judge names and control characters; return the known names that are misspelt."""
        misnamed = set()
        for name in headers:
            if name not in self._rules:
                known = self._folded.get(_fold(name))
                if known is not None:
                    misnamed.add(known)
                    found.append(finding(self._contract, "HDR-23", "header name", name, known))
                elif CONTROL.search(headers[name]) or CONTROL.search(name):
                    wanted = "no control characters"
                    found.append(
                        finding(
                            self._contract, "HDR-23", f"header {name[:40]!r}", headers[name], wanted
                        )
                    )
        return misnamed

    def _malformed(
        self,
        rule: _Rule,
        value: str,
        headers: Mapping[str, str],
        domain: Domain | None,
        env: str | None,
        found: list[Finding],
    ) -> None:
        header, contract = rule.header, self._contract
        if header.only_domain and domain is not None and domain.name != header.only_domain:
            return  # that it is there at all is the finding
        if header.name in ("blob_ref", "blob_hash", "blob_size") and "blob_ref" not in headers:
            return  # as above
        if value in header.tolerated:
            found.append(
                finding(
                    contract, header.clause, header.name, value, f"{header.expects} (A-47)", "warn"
                )
            )
            return
        if header.name == "content_type" and value in JSON_TYPES:
            self._json(value, env, found)
            return
        severity = None
        if not self._strict and rule.lenient is not None and rule.lenient(value):
            severity = "warn"
        clause = header.pattern_clause or header.clause
        if header.additive:
            severity = "warn"
        found.append(finding(contract, clause, header.name, value, header.expects, severity))

    def _json(self, value: str, env: str | None, found: list[Finding]) -> None:
        """JSON is diagnostic: a warning in dev, a failure elsewhere (A-46)."""
        wanted = "application/x-protobuf; JSON is for diagnosis in dev (A-46)"
        severity = "warn" if env == "dev" else None
        found.append(finding(self._contract, "SER-03", "content_type", value, wanted, severity))

    def _trace(self, headers: Mapping[str, str], found: list[Finding]) -> None:
        parent, trace = headers["traceparent"], headers.get("trace_id")
        if trace is None or parent[3:35] == trace or not self.well_formed("traceparent", parent):
            return
        if self.well_formed("trace_id", trace):
            found.append(
                finding(self._contract, "HDR-16", "traceparent", parent, f"the trace {trace}")
            )

    def _blob(self, headers: Mapping[str, str], found: list[Finding]) -> None:
        contract = self._contract
        if "blob_ref" not in headers:
            there = "blob_hash" if "blob_hash" in headers else "blob_size"
            wanted = "blob_ref, blob_hash and blob_size together"
            found.append(finding(contract, "HDR-22", there, headers[there], wanted))
            return
        found.extend(
            finding(contract, "BLB-02", name, None, "present on a pointer envelope")
            for name in ("blob_hash", "blob_size")
            if name not in headers
        )


def _rule(header: Header) -> _Rule:
    lenient = re.compile(header.lenient).fullmatch if header.lenient else None
    pattern = re.compile(header.pattern)
    if header.pattern.startswith(r"\S"):
        # A free text: its pattern lets control characters through, this does not.
        return _Rule(header, _without_control(pattern), lenient)
    return _Rule(header, pattern.fullmatch, lenient)


def _without_control(pattern: re.Pattern[str]) -> Callable[[str], object]:
    search, full = CONTROL.search, pattern.fullmatch

    def matches(value: str) -> object:
        return not search(value) and full(value)

    return matches


def _fold(name: str) -> str:
    return name.replace("-", "").replace("_", "").lower()
