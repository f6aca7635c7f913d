from datetime import UTC, datetime, timedelta

import pytest

from policies.attributes import AttributeInfo
from policies.codec import load_preset
from policies.question import Question
from policies.request import GrantFacts, Request

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def attributes():
    return {
        "age": AttributeInfo("integer", bands=(18, 25, 35)),
        "spend": AttributeInfo("decimal", scale=2, bands=(10000,), clamp=(0, 500_000)),
        "visits": AttributeInfo("integer", clamp=(0, 30)),
        "since": AttributeInfo("date"),
        "city": AttributeInfo("category", values=("Москва", "Казань", "Пермь")),
        "adult": AttributeInfo("boolean"),
        "bought": AttributeInfo("set", values=("tea", "milk", "bread"), max_values=2),
        "note": AttributeInfo("category"),
    }


@pytest.fixture
def standard():
    return load_preset("standard", purposes=["advertising", "analytics"])


@pytest.fixture
def grant():
    return GrantFacts(("advertising",), NOW - timedelta(days=1), NOW + timedelta(days=30), left_micro=20_000)


@pytest.fixture
def request_of(attributes, grant):
    def build(question=None, **changes):
        facts = {
            "question": question or Question("overlap", "advertising", "ds_1", "ds_2"),
            "attributes": attributes,
            "advertiser_id": "org_a",
            "agency_id": None,
            "at": NOW,
            "base_persons": 50_000,
            "grant": grant,
        }
        return Request(**facts | changes)

    return build
