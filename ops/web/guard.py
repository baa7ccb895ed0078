"""What holds for every request and every answer: a bounded body, and headers that keep a browser from mischief."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ops.web import problems

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        b"frame-ancestors 'none'",
    ),
)


class Guard:
    """ASGI middleware: refuses larger bodies with 413, and adds the headers that a route has not set itself."""

    def __init__(self, app: ASGIApp, body_bytes: int) -> None:
        self._app = app
        self._body_bytes = body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                given = {name.lower() for name, _ in headers}
                message["headers"] = headers + [pair for pair in HEADERS if pair[0] not in given]
            await send(message)

        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if announced.isdigit() and int(announced) > self._body_bytes:
            await problems.answer(413, self._complaint, {"connection": "close"})(scope, receive, guarded)
            return
        await self._app(scope, self._counted(receive), guarded)

    def _counted(self, receive: Receive) -> Receive:
        """The body, as long as it is no larger than it may be, whatever was announced."""
        count = 0

        async def counted() -> Message:
            nonlocal count
            message = await receive()
            count += len(message.get("body", b""))
            if count > self._body_bytes:
                raise HTTPException(413, self._complaint, {"connection": "close"})
            return message

        return counted

    @property
    def _complaint(self) -> str:
        return f"expected a body of {self._body_bytes} octets at most"
