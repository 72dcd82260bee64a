"""Subtopics: does the topic name the entity that the payload carries?"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from ampy_conformance.contract.findings import finding
from ampy_conformance.contract.keys import PLACE

if TYPE_CHECKING:
    from ampy_conformance.contract.findings import Finding
    from ampy_conformance.contract.model import Contract, Domain
    from ampy_conformance.contract.topics import Topic


def check(
    contract: Contract,
    topic: Topic,
    domain: Domain,
    schema: str,
    rows: list[dict[str, str]],
    found: list[Finding],
) -> None:
    """Append a finding where the subtopic has not the domain's form, or names another entity.

    The form is the domain's own clause (TOP-06 to TOP-15), the entity is TOP-20.
    """
    forms = _forms(domain, schema)
    if not forms:
        return
    text = ".".join(topic.subtopic)
    if any(form.format_map(row) == text for form in forms for row in rows):
        return
    shaped = [form for form in forms if _shape(form).fullmatch(text)]
    wanted = " or ".join(dict.fromkeys(form.format_map(rows[0]) for form in shaped or forms))
    if not shaped and domain.subtopic_clause:
        found.append(finding(contract, domain.subtopic_clause, "subtopic", text, wanted))
    elif shaped:
        found.append(finding(contract, "TOP-20", "subtopic", text, wanted))


def check_form(
    contract: Contract, topic: Topic, domain: Domain, schema: str, found: list[Finding]
) -> list[str]:
    """Return the forms that a subtopic has; append a finding where it has none of the domain's.

    For records whose payload is not there to be asked.
    """
    forms = _forms(domain, schema)
    text = ".".join(topic.subtopic)
    shaped = [text] if text in forms else [form for form in forms if _shape(form).fullmatch(text)]
    if forms and not shaped and domain.subtopic_clause:
        wanted = " or ".join(dict.fromkeys(forms))
        found.append(finding(contract, domain.subtopic_clause, "subtopic", text, wanted))
    return shaped


def _forms(domain: Domain, schema: str) -> list[str]:
    return [each.form for each in domain.subtopics if not each.payloads or schema in each.payloads]


@functools.cache
def _shape(form: str) -> re.Pattern[str]:
    pieces = PLACE.split(form)
    # split() alternates literal and name; the last part may hold dots itself (BRK.B).
    pattern = "".join(
        re.escape(piece) if number % 2 == 0 else r"[^\s*>]+" for number, piece in enumerate(pieces)
    )
    return re.compile(pattern)
