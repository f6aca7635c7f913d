"""All that a server is sent, byte for byte, and faults of the line on demand."""

from dataclasses import dataclass, field

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass
class Request:
    """What came in: the line, the headers and the body as it arrived."""

    line: str
    headers: bytes
    body: bytearray = field(default_factory=bytearray)


@dataclass
class Wire:
    """Notes requests on their way; `dead` answers uploads with 503, `cut_after` ends one after so many bytes.

    With `dead_next` the line is dead from the first request on that was cut.
    """

    requests: list[Request] = field(default_factory=list)
    dead: bool = False
    cut_after: int | None = None
    dead_next: bool = False

    def around(self, app: ASGIApp) -> ASGIApp:
        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            line = f"{scope['method']} {scope['path']}?{scope['query_string'].decode()}"
            heads = b"\n".join(name + b": " + value for name, value in scope["headers"])
            request = Request(line, heads)
            self.requests.append(request)

            async def receiving() -> Message:
                if cut is not None and len(request.body) >= cut:
                    return {"type": "http.disconnect"}
                message = await receive()
                request.body += message.get("body", b"")
                return message

            appending = scope["method"] == "PATCH"
            cut = self.cut_after if appending else None
            dead, self.dead = self.dead, self.dead or (appending and self.dead_next)
            if appending and dead:
                while (await receiving()).get("more_body"):
                    pass
                await Response(status_code=503)(scope, receive, send)
            else:
                await app(scope, receiving, send)

        return handle

    def sent(self, method: str) -> list[Request]:
        return [one for one in self.requests if one.line.startswith(method + " ")]
