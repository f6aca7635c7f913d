"""What is offered, asked for and granted, and what it came to."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

from cleanroom.client.remote.connection import Connection
from cleanroom.client.remote.effects import Flow
from cleanroom.client.remote.problems import ApprovalPending, ConfigurationError, NotFound

StatementFormat = Literal["csv", "xlsx", "pdf"]
ListingState = Literal["draft", "review", "live", "paused", "retired"]
Verdict = Literal["live", "draft"]
_WORDS = 8
"""The most that the catalogue searches for at a time."""


class EntitlementMissing(NotFound):
    """There is no entitlement for the listing; the remedy says what to request."""


class Market:
    """Conversations about listings, requests, entitlements, budgets, usage and statements."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def listings(
        self,
        query: str | None = None,
        *,
        attribute: str | None = None,
        purpose: str | None = None,
        mine: bool = False,
    ) -> Flow[list[dict[str, Any]]]:
        """Search the catalogue, or list a provider's own in every state."""
        own = "true" if mine else None
        return self._connection.pages("/v1/listings", q=query, attribute=attribute, purpose=purpose, mine=own)

    def reviews(self) -> Flow[list[dict[str, Any]]]:
        """List what waits for the operator's review."""
        return self._connection.pages("/v1/reviews")

    def move(self, listing_id: str, to: ListingState) -> Flow[dict[str, Any]]:
        """Take one's own listing to its next state."""
        return self._connection.post(f"/v1/listings/{quote(listing_id, safe='')}/state", {"to": to})

    def review(self, listing_id: str, to: Verdict) -> Flow[dict[str, Any]]:
        """Let another's listing go live, or send it back, as the operator."""
        return self._connection.post(f"/v1/reviews/{quote(listing_id, safe='')}", {"to": to})

    def listing(self, name: str) -> Flow[dict[str, Any]]:
        """Find one listing by its id or its title.

        Raises:
            NotFound: none has this title.
            ConfigurationError: several have.
        """
        if name.startswith("lst_"):
            return (yield from self._connection.get(f"/v1/listings/{quote(name, safe='')}"))
        wanted = name.strip().casefold()
        found = [
            one
            for one in (yield from self.listings(" ".join(name.split()[:_WORDS])))
            if wanted in (title.strip().casefold() for title in titles(one))
        ]
        if not found:
            raise NotFound(
                "No listing that you can see has this title.",
                remedy="Search with `listings`, and name a listing by its whole title or its id.",
                code="marketplace.unknown_listing",
                status=404,
            )
        if len(found) > 1:
            raise ConfigurationError(
                f"{len(found)} listings have this title.",
                remedy="Name one by its id: " + ", ".join(str(one["id"]) for one in found[:20]) + ".",
            )
        return found[0]

    def request(
        self,
        listing: str,
        *,
        plan: str | None,
        purposes: Sequence[str],
        kinds: Sequence[str],
        size: str | None,
        days: int | None,
        questions: int | None,
        note: str,
    ) -> Flow[dict[str, Any]]:
        """Ask for an entitlement; what is left out is taken from the listing where it leaves no choice.

        Raises:
            ConfigurationError: the listing leaves a choice.
        """
        found = yield from self.listing(listing)
        content, terms = found["content"], found["content"]["terms"]
        body = {
            "listing_id": found["id"],
            "plan_key": _only("plan", plan, [one["key"] for one in content["plans"]]),
            "purposes": list(purposes) or [_only("purpose", None, terms["purposes"])],
            "kinds": list(kinds) or terms["kinds"],
            "size": size or _smallest(terms["sizes"]),
            "days": days or terms["days"],
            "questions": questions,
            "note": note,
        }
        return (yield from self._connection.post("/v1/entitlement-requests", body))

    def requests(self) -> Flow[list[dict[str, Any]]]:
        """List requests, one's own or those to decide."""
        return self._connection.pages("/v1/entitlement-requests")

    def decide(
        self, request_id: str, what: Literal["approve", "reject", "withdraw"], *, reason: str | None = None
    ) -> Flow[dict[str, Any]]:
        """Approve, reject or withdraw a request."""
        body = None if reason is None else {"reason": reason}
        path = f"/v1/entitlement-requests/{quote(request_id, safe='')}/{what}"
        return self._connection.post(path, body)

    def entitlements(self) -> Flow[list[dict[str, Any]]]:
        """List entitlements."""
        return self._connection.pages("/v1/entitlements")

    def revoke(self, entitlement_id: str, *, reason: str) -> Flow[dict[str, Any]]:
        """End an entitlement that one gave: its next question is refused."""
        path = f"/v1/entitlements/{quote(entitlement_id, safe='')}/revoke"
        return self._connection.post(path, {"reason": reason})

    def entitlement_for(self, listing: str) -> Flow[tuple[dict[str, Any], dict[str, Any]]]:
        """Find the entitlement to use for a listing: the newest that is active.

        Returns:
            The listing and the entitlement.

        Raises:
            NotFound: there is no such listing.
            ApprovalPending: it was requested, and nobody has decided.
            EntitlementMissing: it was not requested.
        """
        found = yield from self.listing(listing)
        own = [one for one in (yield from self.entitlements()) if one["listing_id"] == found["id"]]
        active = [one for one in own if one["state"] == "active"]
        if active:
            return found, max(active, key=lambda one: (str(one["valid_from"]), one["id"]))
        asked = [
            one
            for one in (yield from self.requests())
            if one["listing_id"] == found["id"] and one["state"] == "pending"
        ]
        if asked:
            raise ApprovalPending(
                f"The request {asked[-1]['id']} for this listing is not decided yet.",
                remedy="Wait for the provider, or withdraw it.",
            )
        plans = ", ".join(one["key"] for one in found["content"]["plans"])
        raise EntitlementMissing(
            "There is no entitlement in force for this listing.",
            remedy=f"Ask for one: `cleanroom request {found['id']} --plan ...`, or room.request({found['id']!r}, "
            f"plan=...); its plans are: {plans or 'none'}.",
            code="client.entitlement_missing",
            status=404,
        )

    def budgets(self) -> Flow[list[dict[str, Any]]]:
        """List what every entitlement has left."""
        return self._connection.pages("/v1/budgets")

    def usage(self, month: str | None = None) -> Flow[list[dict[str, Any]]]:
        """List what was used in a month, such as `2026-11`."""
        return self._connection.pages("/v1/usage", month=month)

    def statements(self) -> Flow[list[dict[str, Any]]]:
        """List monthly statements."""
        return self._connection.pages("/v1/statements")

    def statement(self, statement_id: str) -> Flow[dict[str, Any]]:
        """Read one."""
        return self._connection.get(f"/v1/statements/{quote(statement_id, safe='')}")

    def statement_file(self, statement_id: str, form: StatementFormat) -> Flow[bytes]:
        """Read one as a file."""
        return self._connection.get_bytes(f"/v1/statements/{quote(statement_id, safe='')}.{form}")

    def offer(self, content: Mapping[str, Any], *, dataset_id: str) -> Flow[dict[str, Any]]:
        """Write a draft listing of a dataset."""
        return self._connection.post("/v1/listings", {"dataset_id": dataset_id, "content": dict(content)})


def titles(listing: Mapping[str, Any]) -> list[str]:
    """Return a listing's title in every language."""
    return [str(title) for title in listing["content"]["title"].values()]


def _only(what: str, given: str | None, offered: Sequence[str]) -> str:
    if given is not None:
        return given
    if len(offered) != 1:
        raise ConfigurationError(
            f"The listing has {len(offered)} choices of a {what}.",
            remedy=f"Name one: {', '.join(offered)}." if offered else "Ask its provider.",
        )
    return offered[0]


def _smallest(sizes: Sequence[str]) -> str:
    found = [size for size in "SML" if size in sizes]
    return found[0] if found else "S"
