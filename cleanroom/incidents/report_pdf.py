"""A report on an incident as PDF, to be sent to an authority and filed."""

from datetime import datetime

from cleanroom.incidents.report import Report
from cleanroom.incidents.report_words import WORDINGS, Words
from cleanroom.papers.paper import Paper, TableRow
from cleanroom.papers.text import Language, clean

# In millimetres; A4 upright has 180 within its margins.
_DUTIES, _ENTRIES, _PARTIES = (90, 40, 50), (38, 32, 110), (120, 60)


def write_pdf(report: Report, language: Language) -> bytes:
    """Write the report; the same report is the same bytes."""
    words, incident = WORDINGS[language], report.incident
    paper = Paper(
        title=words.title,
        day=report.made_at.date(),
        language=language.value,
        footer=f"{words.title} · {incident.id}",
        page_text=words.page,
    )
    paper.add_page()
    paper.heading(words.title)
    paper.heading(clean(incident.title))
    paper.facts(
        [
            (words.of, clean(report.organisation)),
            ("ID", incident.id),
            (words.kind, words.kinds[incident.kind]),
            (words.severity, words.severities[incident.severity]),
            (words.state, words.states[incident.state]),
            (words.discovered, _instant(incident.discovered_at)),
            (words.made, _instant(report.made_at)),
        ]
    )
    if incident.deadlines:
        paper.heading(words.duties)
        rows = [
            TableRow(
                (
                    words.duty[one.duty],
                    _instant(one.due_at),
                    f"{words.duty_state[one.state]} {'' if one.ended_at is None else _instant(one.ended_at)}",
                )
            )
            for one in incident.deadlines
        ]
        paper.grid((words.duties, words.due, words.became), rows, widths=_DUTIES, left=(0, 1, 2))
        paper.ln(4)
    paper.heading(words.entries)
    entries = [
        TableRow((_instant(one.at), words.entry_kind[one.kind], clean(one.text))) for one in report.entries
    ]
    paper.grid((words.at, words.entry, words.text), entries, widths=_ENTRIES, left=(0, 1, 2))
    paper.ln(4)
    paper.heading(words.affected)
    _affected(paper, report, words)
    paper.heading(words.proof)
    paper.text_block(report.checkpoint)
    paper.text_block(report.verifier_key)
    paper.ln(2)
    paper.text_block(words.note, size=7.5)
    return bytes(paper.output())


def _affected(paper: Paper, report: Report, words: Words) -> None:
    found = report.affected
    if found is None:
        paper.text_block(words.none)
        return
    facts = [
        (words.datasets, str(len(found.datasets))),
        (words.versions, str(len(found.versions))),
        (words.releases, str(found.releases)),
    ]
    if found.first_release_at is not None and found.last_release_at is not None:
        period = f"{_instant(found.first_release_at)} – {_instant(found.last_release_at)}"
        facts.append((words.between, period))
    facts.append((words.entitlements, str(len(found.entitlements))))
    paper.facts(facts)
    for head, named in ((words.datasets, found.datasets), (words.organisations, found.organisations)):
        rows = [TableRow((f"{clean(one.name)}\n{one.id}", one.kind)) for one in named]
        paper.grid((head, words.data_of), rows, widths=_PARTIES, left=(0, 1))
        paper.ln(4)


def _instant(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S}"
