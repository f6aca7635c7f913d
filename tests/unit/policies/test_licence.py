"""A licence is rules like any other: it narrows what the owner permits, and stops the next question."""

from dataclasses import replace
from datetime import timedelta

import pytest

from policies.codec import policy_from_data, policy_to_data
from policies.condition import parse_condition
from policies.decision import Deny, Limits, Permit
from policies.engine import decide, grant_limits
from policies.errors import PolicyFormatError
from policies.licence import LicenceTerms, licence_document, under_licence
from policies.question import question_from_dict
from policies.rules import Direct, Quota, ReadyMade

ADULT = {"attribute": "age", "op": ">=", "value": 20}


@pytest.fixture
def terms(request_of):
    now = request_of().at
    return LicenceTerms(
        purposes=frozenset({"advertising"}),
        kinds=frozenset({"match_test", "overlap"}),
        attributes=frozenset({"age"}),
        segments=None,
        sectors=None,
        resale=True,
        questions=None,
        valid_from=now,
        expires_at=now + timedelta(days=1),
    )


def ask(**parts):
    return question_from_dict({"purpose": "advertising", "dataset_id": "ds_1", "base_id": "ds_2"} | parts)


def broken(standard, terms, request):
    decision = decide([under_licence(standard, licence_document(terms))], request)
    return [] if isinstance(decision, Permit) else [reason.rule for reason in decision.reasons]


def test_without_a_licence_the_owners_document_stands(standard):
    assert under_licence(standard, None) is standard


def test_every_term_refuses_on_its_own(standard, terms, request_of):
    plain = request_of(question=ask())
    assert broken(standard, terms, plain) == []
    assert broken(standard, replace(terms, purposes=frozenset({"research"})), plain) == ["purposes"]
    assert broken(standard, terms, request_of(question=ask(breakdowns=[["age"]]))) == ["analyses"]
    assert broken(standard, replace(terms, expires_at=plain.at), plain) == ["validity"]
    assert broken(standard, replace(terms, sectors=frozenset({"retail"})), plain) == ["sectors"]
    assert broken(standard, replace(terms, resale=False), replace(plain, agency_id="org_a")) == ["direct"]
    assert broken(standard, replace(terms, resale=False), replace(plain, agency_id=None)) == []
    assert broken(standard, replace(terms, questions=3), replace(plain, asked=2)) == []
    assert broken(standard, replace(terms, questions=3), replace(plain, asked=3)) == ["quota"]
    none = replace(terms, attributes=frozenset())
    assert broken(standard, none, request_of(question=ask(segments={"a": ADULT}))) == ["attributes"]


def test_ready_made_segments_are_known_in_any_spelling(standard, terms, request_of):
    sold = replace(terms, segments=(parse_condition(ADULT),))
    same = {"not": {"attribute": "age", "op": "<", "value": 20}}
    other = {"attribute": "age", "op": ">=", "value": 21}

    assert broken(standard, sold, request_of(question=ask())) == []
    refused = decide(
        [under_licence(standard, licence_document(sold))],
        request_of(question=ask(segments={"other": other})),
    )
    assert isinstance(refused, Deny)
    assert refused.reasons[0].nearest["question"]["segments"] == {}
    assert "ready_made" in broken(standard, sold, request_of(question=ask(segments={"other": other})))
    # A comparison that leaves out whoever has no age differs from its negation's complement.
    two_valued = {"all": [same, {"attribute": "age", "op": "not_null"}]}
    assert broken(standard, sold, request_of(question=ask(segments={"same": two_valued}))) == []


def test_an_agency_is_refused_a_grant_that_is_for_the_advertiser_alone(standard, terms, request_of):
    document = under_licence(standard, licence_document(replace(terms, resale=False)))
    asked = {"purposes": ["advertising"], "advertiser_id": "a", "at": request_of().at}
    assert isinstance(grant_limits([document], agency_id=None, **asked), Limits)
    refused = grant_limits([document], agency_id="org_a", **asked)
    assert isinstance(refused, Deny)
    assert [reason.rule for reason in refused.reasons] == ["direct"]


def test_a_licence_survives_being_written(terms):
    full = replace(
        terms,
        resale=False,
        questions=5,
        sectors=frozenset({"retail"}),
        segments=(parse_condition(ADULT),),
    )
    document = licence_document(full)
    assert policy_from_data(policy_to_data(document)) == document


@pytest.mark.parametrize(
    ("rule", "data"),
    [
        (Quota, {"max": -1}),
        (Quota, {}),
        (Direct, {"to": "nobody"}),
        (ReadyMade, {"segments": ADULT}),
        (ReadyMade, {"segments": [{"attribute": "age"}]}),
        (ReadyMade, {"segments": [], "more": 1}),
    ],
)
def test_a_rule_that_is_not_understood_is_refused(rule, data):
    with pytest.raises(PolicyFormatError):
        rule.from_data(data)
