"""What the two parties do once their files are in: set terms, ask, try what is refused, withdraw."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from cleanroom.analyses.types import Answer, Outcome
from cleanroom.consent.types import Withdrawal
from cleanroom.demo.parties import Party
from cleanroom.demo.results import Asked, Refused, Respelled, Terms, Withdrawn
from cleanroom.demo.wording import changes, respell_question
from cleanroom.grants.types import Grant
from cleanroom.room import Room
from policies.accounting import MICRO, advantage
from policies.codec import load_preset
from policies.decision import Limits
from policies.engine import grant_limits
from policies.mechanisms import narrowest_half_width
from policies.model import PolicyDocument
from policies.question import Precision, Question, question_from_dict, question_to_dict
from policies.rules import MinimumAudience

_TERM = timedelta(days=30)
OTHER_PURPOSE = "credit_scoring"


@dataclass(frozen=True)
class Deal:
    """What the advertiser may do with the provider's dataset.

    Attributes:
        provider: whose dataset it is.
        advertiser: who asks.
        dataset_id: the provider's dataset.
        base_id: the advertiser's base.
        document: the analysis rule in force.
        grant: of size M, for all questions but the last attempt.
        spare: of size S, to be spent.
    """

    provider: Party
    advertiser: Party
    dataset_id: str
    base_id: str
    document: PolicyDocument
    grant: Grant
    spare: Grant


def agree(
    room: Room,
    *,
    provider: Party,
    advertiser: Party,
    dataset_id: str,
    base_id: str,
    preset: str,
    purpose: str,
    blocked: Sequence[str],
) -> tuple[Deal, Terms]:
    """Put the analysis rule in force and give the advertiser its two grants.

    Args:
        room: with both files published.
        provider: sets the rule.
        advertiser: gets the grants.
        dataset_id: of the provider.
        base_id: of the advertiser.
        preset: strict, standard or relaxed.
        purpose: the one that the rule allows.
        blocked: attributes nobody may use.

    Returns:
        The deal, and its terms as shown to the parties.
    """
    document = load_preset(preset, purposes=[purpose], blocked=blocked)
    with room.db.transaction() as tx:
        room.rules.set_policy(tx, dataset_id, document, organisation_id=provider.organisation_id)
        grants = [
            room.grants.issue_grant(
                tx,
                dataset_id=dataset_id,
                advertiser_id=advertiser.organisation_id,
                size=size,
                purposes=[purpose],
                expires_at=room.clock.now() + _TERM,
                documents=[document],
            )
            for size in ("M", "S")
        ]
        limits = grant_limits(
            [document],
            purposes=[purpose],
            advertiser_id=advertiser.organisation_id,
            agency_id=None,
            at=room.clock.now(),
        )
    # A size that everyone may see, so that a match rate has both its denominators.
    room.public_sizes.release(dataset_id, purpose=purpose)
    large, small = grants
    # The parties are new, so their accounts are empty, and the rule allows the purpose by construction.
    assert isinstance(large, Grant)
    assert isinstance(small, Grant)
    assert isinstance(limits, Limits)
    deal = Deal(provider, advertiser, dataset_id, base_id, document, large, small)
    terms = Terms(
        preset=preset,
        blocked=tuple(blocked),
        size=large.size,
        rho_micro=large.rho_micro,
        cap_rho_micro=limits.cap_rho_micro,
        advantage=advantage(limits.cap_rho_micro / MICRO),
    )
    return deal, terms


def question_of(deal: Deal, plain: Mapping[str, Any], **changed: Any) -> Question:
    """Read a question in the form of the segments file, with some keys changed; None takes a key away."""
    merged = {key: value for key, value in {**plain, **changed}.items() if value is not None}
    return question_from_dict(merged, dataset_id=deal.dataset_id, base_id=deal.base_id)


def ask(
    room: Room,
    deal: Deal,
    question: Question,
    *,
    title: str,
    truth: Mapping[str, int],
    grant_id: str | None = None,
) -> Asked:
    """Ask one question, after an estimate of it, and keep what came of both.

    Args:
        room: that answers.
        deal: who asks and what pays.
        question: to ask.
        title: what it is called in the report.
        truth: exact counts by name, as far as they are known.
        grant_id: another grant than the deal's main one.
    """
    paying, asker_id = grant_id or deal.grant.id, deal.advertiser.organisation_id
    estimate = room.analyses.estimate(
        question, grant_id=paying, asker_id=asker_id, sizes=estimated_sizes(deal.document)
    )
    started = time.perf_counter()
    answer = room.analyses.ask(question, grant_id=paying, asker_id=asker_id)
    return Asked(
        title=title,
        question=question,
        estimate=estimate,
        answer=answer,
        seconds=time.perf_counter() - started,
        truth=truth,
        refusals=refusals_of(title, question, answer),
    )


def estimated_sizes(document: PolicyDocument) -> tuple[int, ...]:
    """Return the sizes at which the demo asks for the chance of suppression: the rule's minimum, and three times it."""
    minimum = next((rule.min for rule in document.rules if isinstance(rule, MinimumAudience)), 0)
    return (minimum, 3 * minimum)


def refusals_of(attempt: str, question: Question, answer: Answer) -> tuple[Refused, ...]:
    """Say for each broken rule, or for what is missing, what would be permitted instead."""
    if answer.outcome is not Outcome.REFUSED:
        return ()
    plain = question_to_dict(question)
    found = [
        Refused(
            attempt=attempt,
            rule=reason.rule,
            message=reason.message,
            nearest=reason.nearest,
            change="" if reason.nearest is None else changes(plain, reason.nearest),
        )
        for reason in answer.reasons
    ]
    gaps = [
        Refused(attempt, "gap", f"It cannot be decided: {missing} is missing.", None, "")
        for missing in answer.missing
    ]
    return (*found, *gaps)


def try_refused(
    room: Room, deal: Deal, plain: Mapping[str, Any], *, blocked: str | None, small_base_id: str | None
) -> tuple[tuple[Asked, ...], Asked]:
    """Ask for things that must not be had: each comes back with the rule and the nearest permitted question.

    Args:
        room: that refuses.
        deal: with a spare grant, which is spent here first.
        plain: the question to start from, in the form of the segments file.
        blocked: an attribute that the rule blocks, if there is one.
        small_base_id: a base below the floor, if there is one.

    Returns:
        The attempts; and the question that spent the spare grant.
    """
    simple = {
        "kind": "overlap",
        "purpose": plain["purpose"],
        "precision": "normal",
        "labels": False,
        "per_key": False,
    }
    attempts: list[tuple[str, Question]] = []
    if blocked is not None:
        attempts.append(
            (
                f"a breakdown by {blocked}, which the owner blocks",
                question_of(deal, {**simple, "kind": "profile"}, breakdowns=[[blocked]]),
            )
        )
    attempts.append(("a purpose that was not granted", question_of(deal, simple, purpose=OTHER_PURPOSE)))
    if small_base_id is not None:
        question = replace(question_of(deal, simple), base_id=small_base_id)
        attempts.append(("a base below the floor", question))
    asked = [ask(room, deal, question, title=title, truth={}) for title, question in attempts]
    # One total as precise as the whole spare grant can buy, and then one more.
    width = narrowest_half_width(1, deal.spare.rho_micro)
    all_of_it = question_of(deal, simple, precision=None, half_width=width)
    spent = ask(room, deal, all_of_it, title="", truth={}, grant_id=deal.spare.id)
    one_more = question_of(deal, simple, labels=True)
    title = f"one more question out of a spent grant of size {deal.spare.size}"
    return (*asked, ask(room, deal, one_more, title=title, truth={}, grant_id=deal.spare.id)), spent


def ask_respelled(room: Room, deal: Deal, first: Asked) -> Respelled:
    """Ask the first question again in other words; nothing is computed and nothing is spent."""
    before = _left(room, deal)
    question = question_of(deal, respell_question(question_to_dict(first.question)))
    again = ask(room, deal, question, title="", truth={})
    return Respelled(
        stored=again.answer.outcome is Outcome.STORED,
        same_figures=set(again.answer.figures) == set(first.answer.figures),
        left_before_micro=before,
        left_after_micro=_left(room, deal),
    )


def withdraw(
    room: Room, deal: Deal, first: Asked, requests: Sequence[Withdrawal], *, true_after: int | None
) -> tuple[Withdrawn | None, Asked]:
    """Take consents back, look at the stored answer, and ask afresh.

    Args:
        room: that honours the withdrawals.
        deal: who asks and what pays.
        first: the question that was answered before.
        requests: identifiers of those who withdraw.
        true_after: the exact overlap without them, where it is known.

    Returns:
        What changed, unless the grant could not pay for a fresh answer; and the fresh question.
    """
    outcome = room.consents.withdraw(deal.dataset_id, requests)
    stored = room.analyses.ask(
        first.question,
        grant_id=deal.grant.id,
        asker_id=deal.advertiser.organisation_id,
        as_of=first.answer.as_of,
    )
    question = first.question
    if _left(room, deal) < first.answer.charged_micro:
        # The rest of the grant still buys the overlap alone.
        question = replace(question, segments=(), labels=False, per_key=False, precision=Precision("normal"))
    fresh = ask(room, deal, question, title="overlap after the withdrawals", truth={})
    if fresh.refusals:
        return None, fresh
    withdrawn = Withdrawn(
        requests=outcome.submitted,
        epoch=outcome.epoch,
        stored_at=stored.as_of,
        stored=next(figure for figure in stored.figures if figure.name == "overlap"),
        fresh=fresh.figure("overlap"),
        true_before=first.truth.get("overlap"),
        true_after=true_after,
    )
    return withdrawn, fresh


def _left(room: Room, deal: Deal) -> int:
    with room.db.reading() as tx:
        return room.grants.status(tx, deal.grant.id).left_micro
