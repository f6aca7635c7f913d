"""The pace of visitors: counted for each subscriber, however many addresses it has."""

import asyncio
import io

import httpx
from starlette.responses import PlainTextResponse

from advertiser_api.telemetry import Telemetry
from cleanroom.clock import SystemClock
from cleanroom.counts import Counts
from provider_portal.surroundings import Surroundings


def test_a_subscriber_with_many_addresses_is_one_visitor() -> None:
    pages = Surroundings(
        PlainTextResponse("a page"),
        telemetry=Telemetry(log=io.StringIO()),
        clock=SystemClock(),
        https=False,
        per_minute=2,
        counts=Counts(),
    )

    async def statuses(*addresses: str) -> list[int]:
        found = []
        for address in addresses:
            transport = httpx.ASGITransport(pages, client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://room") as client:
                found.append((await client.get("/")).status_code)
        return found

    many = [f"2001:db8:1:2::{number}" for number in range(3)]
    assert asyncio.run(statuses(*many, "2001:db8:1:3::1")) == [200, 200, 429, 200]
    mapped = [f"::ffff:192.0.2.{number}" for number in range(3)]
    assert asyncio.run(statuses(*mapped)) == [200, 200, 200]
