"""Changing the rule of a dataset: the editor with its preview, the review, the red team, and publishing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Response

from cleanroom.errors import KNOWN_ERRORS
from cleanroom.grants.standing import standing_grants
from cleanroom.marketplace.desk import buyers_of
from cleanroom.rules.population import policies_of_population
from policies.codec import PRESETS, load_preset, policy_to_yaml
from policies.described import DESCRIBED, NEEDED
from policies.diff import diff
from policies.located import Fault, read_located
from policies.model import PolicyDocument
from provider_portal.cabinet.policy import Reading, Writing, expectation
from provider_portal.error_words import error_words
from provider_portal.own import owned, people_of
from provider_portal.policy_form import FormFault, fields_of, names_in, read_form
from provider_portal.ui import go, page
from provider_portal.visits import Visit

router = APIRouter(prefix="/datasets/{dataset_id}/policy")
_LONGEST_TEXT = 60_000


@dataclass(frozen=True)
class Draft:
    """A policy that somebody is at.

    Attributes:
        view: `form` or `text`.
        fields: what stands in the form.
        text: what stands in the text.
        follows: number of the version that the change started from; 0 for none.
        document: what it says; None when anything is wrong.
        faults: what is wrong in the form.
        located: what is wrong in the text.
    """

    view: str
    fields: Mapping[str, str]
    text: str
    follows: int
    document: PolicyDocument | None
    faults: tuple[FormFault, ...] = ()
    located: tuple[Fault, ...] = ()
    by_field: Mapping[str, FormFault] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_field", {fault.field: fault for fault in self.faults})


@router.get("/edit")
def edit(visit: Writing, dataset_id: str) -> Response:
    """Show the editor: with the rule in force, one of its versions, or a preset."""
    room, source = visit.room, visit.asked("from")
    with room.db.reading() as tx:
        dataset = owned(visit, tx, dataset_id)
        history = room.rules.history(tx, dataset_id)
    follows = history[-1].number if history else 0
    purposes = [one.purpose for one in dataset.schema.consents] or ["advertising"]
    if source in PRESETS or not history:
        document = load_preset(source if source in PRESETS else "standard", purposes=purposes)
    else:
        document = next((one.document for one in history if str(one.number) == source), history[-1].document)
    return _editor(
        visit, dataset_id, _drafted(document, "text" if visit.asked("view") == "text" else "form", follows)
    )


@router.post("/edit")
def edit_on(visit: Writing, dataset_id: str) -> Response:
    """Go on with what was typed: in the other view, with the preview, or on to the review."""
    draft, do = _draft(visit), visit.typed("do")
    if draft.document is None:
        return _editor(visit, dataset_id, draft, status=400)
    if do in ("form", "text"):
        return _editor(visit, dataset_id, _drafted(draft.document, do, draft.follows))
    if do == "review":
        return _review(visit, dataset_id, draft.document, draft.follows)
    return _editor(visit, dataset_id, draft)


@router.post("/preview")
def preview(visit: Writing, dataset_id: str) -> Response:
    """Show what the rule that is being typed would mean."""
    draft = _draft(visit)
    with visit.room.db.reading() as tx:
        owned(visit, tx, dataset_id)
        expected = expectation(visit, tx, dataset_id, draft.document) if draft.document else None
    return page(visit, "cabinet/policy_preview.html", draft=draft, expected=expected)


@router.post("/publish")
def publish(visit: Writing, dataset_id: str) -> Response:
    """Put a rule in force, unless something stands in its way, or another came meanwhile."""
    draft, who = _draft(visit), visit.who
    if draft.document is None:
        return _editor(visit, dataset_id, draft, status=400)
    rules = visit.room.rules
    try:
        with visit.room.db.transaction() as tx:
            owned(visit, tx, dataset_id)
            before = rules.current(tx, dataset_id)
            made = rules.set_policy(
                tx,
                dataset_id,
                draft.document,
                organisation_id=who.organisation_id,
                follows=draft.follows,
                by=who.user_id,
            )
    except KNOWN_ERRORS as error:
        if str(getattr(error, "code", "")).startswith("datasets."):
            raise
        return _review(visit, dataset_id, draft.document, draft.follows, error=error_words(error), status=409)
    done = "unchanged" if before is not None and before.id == made.id else "published"
    return go(visit, f"/datasets/{dataset_id}/policy?done={done}")


@router.post("/trials")
def try_it(visit: Writing, dataset_id: str) -> Response:
    """Let the red team loose on a rule."""
    draft, who = _draft(visit), visit.who
    if draft.document is None:
        return _editor(visit, dataset_id, draft, status=400)
    try:
        with visit.room.db.transaction() as tx:
            owned(visit, tx, dataset_id)
            trial = visit.room.trials.ask(
                tx, dataset_id, draft.document, organisation_id=who.organisation_id, by=who.user_id
            )
    except KNOWN_ERRORS as error:
        if str(getattr(error, "code", "")).startswith("datasets."):
            raise
        return _review(visit, dataset_id, draft.document, draft.follows, error=error_words(error), status=409)
    return go(visit, f"/datasets/{dataset_id}/policy/trials/{trial.id}")


@router.get("/trials/{trial_id}")
def show_trial(visit: Reading, dataset_id: str, trial_id: str) -> Response:
    """Show how far the red team is, and what it found."""
    room = visit.room
    with room.db.reading() as tx:
        dataset = owned(visit, tx, dataset_id)
        trial = room.trials.trial(
            tx, trial_id, dataset_id=dataset_id, organisation_id=visit.who.organisation_id
        )
        current = room.rules.current(tx, dataset_id)
        people = people_of(visit, tx, visit.who.organisation_id)
    return page(
        visit,
        "cabinet/policy_trial.html",
        dataset=dataset,
        trial=trial,
        current=current,
        text=policy_to_yaml(trial.document),
        people=people,
    )


def _drafted(document: PolicyDocument, view: str, follows: int) -> Draft:
    return Draft(view, fields_of(document), policy_to_yaml(document), follows, document)


def _draft(visit: Visit) -> Draft:
    """Read what was typed; both views keep it as it was."""
    number = visit.typed("follows")
    follows = int(number) if number.isascii() and number.isdecimal() and len(number) < 9 else 0
    if visit.typed("view") != "form":
        text = visit.typed("text", longest=_LONGEST_TEXT).replace("\r\n", "\n")
        read = read_located(text)
        return Draft("text", {}, text, follows, read.document, located=read.faults)
    found = read_form(visit.form)
    return Draft("form", visit.form, "", follows, found.document, faults=found.faults)


def _editor(visit: Visit, dataset_id: str, draft: Draft, *, status: int = 200) -> Response:
    with visit.room.db.reading() as tx:
        dataset = owned(visit, tx, dataset_id)
        expected = expectation(visit, tx, dataset_id, draft.document) if draft.document else None
        buyers = dict(buyers_of(tx, visit.who.organisation_id))
    purposes = {one.purpose for one in dataset.schema.consents}
    return page(
        visit,
        "cabinet/policy_edit.html",
        status=status,
        dataset=dataset,
        draft=draft,
        expected=expected,
        described=DESCRIBED,
        needed=NEEDED,
        presets=PRESETS,
        offered=_offered(dataset.schema, purposes, buyers),
        buyers=buyers,
        names_in=names_in,
        lines=draft.text.split("\n"),
    )


def _offered(schema: Any, purposes: set[str], buyers: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return which names a form offers to tick, by field; those that are ticked already stand beside them."""
    attributes = tuple(one.name for one in schema.attributes)
    found: dict[str, tuple[str, ...]] = {}
    for tag, keys in DESCRIBED.items():
        for key in keys:
            if key.attributes:
                found[f"{tag}.{key.name}"] = attributes
            elif key.parties:
                found[f"{tag}.{key.name}"] = tuple(buyers)
            elif tag == "purposes":
                found[f"{tag}.{key.name}"] = tuple(sorted(purposes))
            else:
                found[f"{tag}.{key.name}"] = key.options
    return found


def _review(
    visit: Visit,
    dataset_id: str,
    document: PolicyDocument,
    follows: int,
    *,
    error: str | None = None,
    status: int = 200,
) -> Response:
    """Show what publishing would change, against what is in force now."""
    room, organisation_id = visit.room, visit.who.organisation_id
    examined, trial = None, None
    with room.db.reading() as tx:
        dataset = owned(visit, tx, dataset_id)
        current = room.rules.current(tx, dataset_id)
        beside = policies_of_population(tx, room.grants.population(tx, dataset_id), but=dataset_id)
        try:
            examined = room.rules.examine(tx, dataset_id, document, organisation_id=organisation_id)
            trial = room.trials.newest(tx, dataset_id, examined.sha256)
        except KNOWN_ERRORS as wrong:
            error, status = error or error_words(wrong), 409
        standing, grants = standing_grants(
            tx,
            dataset_id,
            before=current.document if current else None,
            after=document,
            beside=beside,
            at=room.clock.now(),
        )
        expected = expectation(visit, tx, dataset_id, document)
        was = expectation(visit, tx, dataset_id, current.document) if current else None
        people = people_of(visit, tx, organisation_id)
        buyers = dict(buyers_of(tx, organisation_id))
    return page(
        visit,
        "cabinet/policy_review.html",
        status=status,
        dataset=dataset,
        document=document,
        text=policy_to_yaml(document),
        current=current,
        # What is confirmed is what is shown here: against the version in force now.
        follows=current.number if current else 0,
        overtaken=current is not None and current.number != follows,
        changes=diff(current.document, document) if current else (),
        examined=examined,
        trial=trial,
        standing=standing,
        grants=grants,
        expected=expected,
        was=was,
        people=people,
        buyers=buyers,
        error=error,
    )
