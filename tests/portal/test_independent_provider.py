"""Single sign-on at an OpenID provider that others wrote: a process of its own, over real HTTP, by the machine's clock.

It checks the room's secret and the address it sends people back to, but not PKCE: that is left to the tests with
the provider of our own.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from html.parser import HTMLParser

import httpx
import pytest

from cleanroom.bootstrap import init_room
from cleanroom.clock import SystemClock
from cleanroom.settings import load_settings
from cleanroom.settings.single_sign_on import ProviderSettings
from tests.access_rooms import AccessRoom
from tests.people_rooms import invite
from tests.portal.world import Cabinet, served
from tests.rooms import Stage

VERA = {"sub": "vera-1", "email": "vera@example.org", "email_verified": True}
# With the same address, which nobody has verified.
MALLORY = {"sub": "mallory-1", "email": "vera@example.org", "email_verified": False}


class Page(HTMLParser):
    """The forms of a page with what stands in their fields, its links and its words."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__()
        self.forms: dict[str, dict[str, str]] = {}
        self.links: list[str] = []
        self.words = ""
        self._form: dict[str, str] = {}
        self.feed(answer.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = self.forms.setdefault(found.get("action", ""), {})
        elif tag == "input" and found.get("type") == "hidden":
            self._form[found["name"]] = found["value"]
        elif tag == "a":
            self.links.append(found.get("href", ""))

    def handle_data(self, data: str) -> None:
        self.words += data


class Browser:
    """Fills forms in and follows links as a person does; the room and the provider see no cookies of each other."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.room = httpx.Client(base_url=url, follow_redirects=True, trust_env=False)
        self.elsewhere = httpx.Client(trust_env=False)

    def sign_in(self, page: httpx.Response, provider: str, subject: str) -> httpx.Response:
        """Go from a page of the room to a provider, say there who one is, and come back."""
        action = f"/sign-in/with/{provider}"
        leaving = self.send(page, action)
        (away,) = {one for one in Page(leaving).links if one.startswith("http")}
        form = self.elsewhere.get(away)
        assert form.status_code == 200, form.text
        assert "" in Page(form).forms
        answer = self.elsewhere.post(away, data={"sub": subject})
        assert answer.status_code == 302, answer.text
        back = answer.headers["location"]
        assert back.startswith(f"{self.url}{action}/back?")
        return self.room.get(back)

    def send(self, page: httpx.Response, action: str) -> httpx.Response:
        answer = self.room.post(action, data=Page(page).forms[action], headers={"Origin": self.url})
        assert answer.status_code == 200, answer.text
        return answer

    def close(self) -> None:
        self.room.close()
        self.elsewhere.close()


@contextmanager
def provider() -> Iterator[str]:
    """Start the provider at a free port, and give its address."""
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", "0", "--require-registration"]
    command += ["--require-nonce", *(f"--user-claims={json.dumps(one)}" for one in (VERA, MALLORY))]
    plain = {**os.environ, "NO_COLOR": "1"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=plain)
    assert process.stderr is not None
    said = ""
    try:
        for line in process.stderr:
            said += line
            if found := re.search(r"running on (http://127\.0\.0\.1:\d+)", line):
                yield found[1]
                break
        else:
            raise AssertionError(said)
    finally:
        process.terminate()
        process.communicate(timeout=120)


def registered(issuer: str, url: str, name: str) -> ProviderSettings:
    """Register the room as the how-to says, by the provider's own discovery document."""
    discovery = httpx.get(f"{issuer}/.well-known/openid-configuration", trust_env=False).json()
    wanted = {"redirect_uris": [f"{url}/sign-in/with/{name}/back"]}
    made = httpx.post(discovery["registration_endpoint"], json=wanted, trust_env=False).json()
    return ProviderSettings(
        name=name,
        title=name.title(),
        issuer=discovery["issuer"],
        client_id=made["client_id"],
        client_secret=made["client_secret"],
    )


@pytest.fixture(scope="module")
def cabinet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cabinet]:
    """An empty room with an organisation; it knows the provider twice, the second time with a wrong secret."""
    home, clock = tmp_path_factory.mktemp("independent") / "home", SystemClock()
    stage = Stage(home, init_room(load_settings({}, home=home), clock=clock), clock)
    stage.party("provider", "provider")
    with provider() as issuer:

        def knowing(url: str) -> dict[str, tuple[ProviderSettings, ...]]:
            wrong = replace(registered(issuer, url, "wrong"), client_secret="not the room's")
            return {"sso": (registered(issuer, url, "office"), wrong)}

        with served(stage, knowing=knowing) as one:
            yield one


@pytest.fixture
def browser(cabinet: Cabinet) -> Iterator[Browser]:
    one = Browser(cabinet.url)
    yield one
    one.close()


def failures(cabinet: Cabinet) -> list[str]:
    """Why people were turned away, by the log."""
    events = AccessRoom(cabinet.room, cabinet.stage.clock).events("signin.failed")
    return [one["body"]["why"] for one in events]


def test_an_invitation_is_accepted_there_and_the_person_signs_in_again(
    cabinet: Cabinet, browser: Browser
) -> None:
    organisation_id = cabinet.stage.provider.organisation_id
    _, invitation = invite(cabinet.room, organisation_id, "viewer", str(VERA["email"]))
    path = f"/invitation/{invitation}"

    # The code is refused to whoever has not the room's secret.
    assert browser.sign_in(browser.room.get(path), "wrong", "vera-1").status_code == 401
    # And an address counts only when the provider has verified it.
    assert browser.sign_in(browser.room.get(path), "office", "mallory-1").status_code == 401
    assert failures(cabinet) == ["code_refused", "not_connected"]

    arrived = browser.sign_in(browser.room.get(path), "office", "vera-1")
    assert (arrived.status_code, arrived.url.path) == (200, "/")
    account = browser.room.get("/account")
    assert str(VERA["email"]) in Page(account).words
    assert "you sign in with single sign-on" in Page(account).words

    left = browser.send(account, "/sign-out")
    assert left.url.path == "/sign-in"
    again = browser.sign_in(browser.room.get("/requests?state=pending"), "office", "vera-1")
    assert (again.status_code, str(again.url)) == (200, f"{cabinet.url}/requests?state=pending")
    assert str(VERA["email"]) in Page(browser.room.get("/account")).words
    browser.send(again, "/sign-out")

    stranger = browser.sign_in(browser.room.get("/sign-in"), "office", "mallory-1")
    assert stranger.status_code == 401
    assert failures(cabinet)[2:] == ["not_connected"]
