"""An act of destruction as PDF, with the extract of the log that belongs to it.

What stands in it follows points 3 and 5 of the Requirements approved by order 179 of Roskomnadzor of 28 October 2022;
names and positions that the room does not know are left to be written in by hand.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cleanroom.papers.paper import Paper, TableRow
from cleanroom.papers.text import Language, clean
from cleanroom.rights.act_words import WORDS, ActWords
from cleanroom.rights.types import Act

# In millimetres; A4 upright has 180 within its margins.
_WIDTH = 180
_WIDTHS = (16, 38, 54, 72)
_ALSO_IN_EXTRACT = (0, 4, 5, 6, 9)
"""Of the facts, those that the extract has to state too: the date, whose, which, where, and why."""


def write_act(act: Act, language: Language) -> bytes:
    """Write an act; the same act gives the same bytes every time.

    Args:
        act: as it was made.
        language: of its words; what stands in the log stays as it is.
    """
    words, document = WORDS[language], act.document
    title = f"{words.title} № {act.number}" if language is Language.RU else f"{words.title} No. {act.number}"
    paper = Paper(
        title=title,
        day=act.made_at.date(),
        language=language.value,
        footer=f"{title} · {act.id}",
        page_text=words.page,
    )
    paper.add_page()
    paper.heading(title)
    facts = _facts(act, words)
    for label, text in facts:
        # Labels are longer than `facts` has room for.
        paper.grid((label,), [], widths=(_WIDTH,), left=(0,))
        paper.text_block(clean(text))
    for person in document["responsible"]:
        paper.text_block(clean(f"{person['email'] or person['id']} ({person['role'] or '—'})"))
    paper.ln(4)
    paper.text_block(words.signature)
    paper.ln(6)
    paper.text_block(words.hash_note.format(sha256=act.sha256), size=7.5)
    paper.add_page()
    paper.heading(words.extract)
    for label, text in (facts[place] for place in _ALSO_IN_EXTRACT):
        paper.text_block(f"{label}: {clean(text)}", size=7.5)
    paper.text_block(words.extract_note.format(key=document["log"]["verifier_key"]), size=7.5)
    paper.ln(3)
    paper.grid(words.columns, _records(document), widths=_WIDTHS, left=(0, 1, 2, 3))
    return bytes(paper.output())


def _facts(act: Act, words: ActWords) -> list[tuple[str, str]]:
    document = act.document
    system, categories = document["system"], document["categories"]
    reason = words.codes[document["reason"]["code"]]
    if "text" in document["reason"]:
        reason = f"{reason}: {document['reason']['text']}"
    parts = [f"{words.identifiers}: {', '.join(categories['identifiers']) or '—'}"]
    named = [one["name"] for kind in categories["attributes"].values() for one in kind]
    if named:
        parts.append(f"{words.attributes}: {', '.join(named)}")
    if categories["consents"]:
        parts.append(f"{words.consents}: {', '.join(categories['consents'])}")
    if categories["labels"]:
        parts.append(words.labels)
    places = [system["origin"]]
    places += [f"{words.workspace} {name} ({one})" for one, name in system["workspaces"].items()]
    places += [f"{words.dataset} {name} ({one})" for one, name in system["datasets"].items()]
    return [
        (words.destroyed_at, _instant(document["destroyed_at"])),
        (words.made_at, _instant(document["made_at"])),
        (words.operator, f"{document['organisation']['name']}, {words.address}"),
        (words.processor, ", ".join(f"{one}, {words.address}" for one in document["processors"]) or "—"),
        (words.subjects, _subjects(document["subjects"], words)),
        (words.categories, "; ".join(parts)),
        (words.system, "; ".join(places)),
        (words.what, f"{words.kinds[act.kind]} ({act.subject_id})"),
        (words.how, words.codes[document["method"]]),
        (words.reason, reason),
        (words.checked, f"{words.codes[document['checked']['how']]}, {_instant(document['checked']['at'])}"),
        (words.responsible, ""),
    ]


def _subjects(subjects: Mapping[str, Any], words: ActWords) -> str:
    if subjects["who"] == "everybody":
        return words.codes["everybody"]
    told = [
        words.codes["request"].format(
            id=one["id"],
            reason=words.codes[one["reason"]],
            reference=one["reference"] or "—",
            commitment=one["commitment"],
        )
        for one in subjects["requests"]
    ]
    if subjects["who"] == "consents_too_old":
        told.insert(0, f"{words.codes['consents_too_old']}: {_instant(subjects['collected_before'])}")
    return "; ".join(told) or "—"


def _records(document: Mapping[str, Any]) -> list[TableRow]:
    rows = []
    for one in document["extract"]:
        told = json.loads(one["record"])
        rows.append(TableRow((str(one["index"]), _instant(told["at"]), told["kind"], told["subject"])))
    return rows


def _instant(text: str) -> str:
    """Write an instant of the log to the second; the record itself has it in full."""
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S")
