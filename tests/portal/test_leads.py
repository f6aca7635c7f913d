"""Where notices lead: to pages that there are, for exactly those who may open them; without a browser."""

import re
from types import SimpleNamespace
from typing import Any

import pytest

from cleanroom.access.scopes import ROLES
from cleanroom.accounts.types import OrganisationKind
from cleanroom.notices.types import NoticeType
from provider_portal.cabinet.notices import LEADS, Lead
from provider_portal.ui import PLACES
from tests.portal.test_access import EVERYBODY, PAGES, Client
from tests.portal.world import Cabinet

ALL = [lead for leads in LEADS.values() for lead in leads]


def member(who: str) -> Any:
    kind, _, role = who.partition(".")
    return SimpleNamespace(kind=OrganisationKind(kind), scopes=ROLES[OrganisationKind(kind)][role])


def openers(path: str) -> frozenset[str]:
    """Who opens a page, by the table of access, whatever its placeholders are called."""
    bare = {re.sub(r"\{\w+\}", "{}", route): who for route, who in PAGES.items()}
    return bare["GET " + re.sub(r"\{\w+\}", "{}", path)]


@pytest.mark.parametrize("lead", ALL, ids=lambda lead: lead.path)
def test_a_lead_is_open_to_those_who_open_its_page(lead: Lead) -> None:
    assert {who for who in EVERYBODY if lead.open_to(member(who))} == openers(lead.path)


def test_only_what_buyers_are_told_leads_nowhere() -> None:
    assert set(NoticeType) - set(LEADS) == {NoticeType.REQUEST_DECIDED}


def test_a_place_of_the_navigation_is_shown_to_those_who_open_it() -> None:
    for place in PLACES:
        assert {who for who in EVERYBODY if place.open_to(member(who))} == openers(place.path), place.path
    groups = [place.group for place in PLACES]
    assert [one for one in dict.fromkeys(groups) for _ in range(groups.count(one))] == groups


@pytest.mark.parametrize(
    ("who", "paths"),
    [
        (
            "provider.owner",
            {
                "listing_waits": "/listings/",
                "listing_reviewed": "/listings/",
                "question_waits": "/requests/questions/",
                "request_waits": "/requests/",
                "new_device": "/account",
            },
        ),
        ("operator.operator", {"listing_waits": "/reviews"}),
    ],
)
def test_notices_lead_to_what_they_are_about(cabinet: Cabinet, who: str, paths: dict[str, str]) -> None:
    client = Client(cabinet, cabinet.people[who])
    reading, whom = cabinet.room.notices.reading, cabinet.people[who].member()
    with cabinet.room.db.reading() as tx:
        found = {str(one.type): one for one in reading.page(tx, whom, limit=50)[0]}
    assert paths.keys() <= found.keys()
    for name, path in paths.items():
        answer = client(f"POST /notices/{found[name].id}/read", {"go": "yes"})
        assert answer.headers["location"].startswith(path), name
        assert client(f"GET {answer.headers['location']}").status_code == 200, name
    client.http.close()


def test_the_overview_leads_to_what_waits(cabinet: Cabinet) -> None:
    made = cabinet.made
    expected = {
        "provider.owner": [
            "/requests?state=pending",
            "/requests/questions?state=pending",
            "/four-eyes?state=waiting",
            "/listings?state=review",
            "/notices?show=unread",
            f"/datasets/{made['dataset']}/versions/{made['shared']}",
        ],
        "operator.operator": ["/reviews", "/notices?show=unread"],
        "provider.finance": ["/requests?state=pending"],
    }
    for who, paths in expected.items():
        client = Client(cabinet, cabinet.people[who])
        todo = client("GET /").text.partition('class="todo"')[2].partition("</ul>")[0]
        assert ("/listings?state=review" in todo) == (who == "provider.owner")
        for path in paths:
            assert f'href="{path}"' in todo, (who, path)
            assert client(f"GET {path}").status_code == 200
        client.http.close()
