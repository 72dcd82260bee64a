"""Answers to many requests under way on NATS, on one inbox.

nats-py's `request` draws a random token and sets a clock for each request. With thousands under
way that costs more than the request itself: here a counter tells requests apart, and since all
have the same patience one clock, set for the oldest, suffices.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nats.aio.client import Client
    from nats.aio.msg import Msg

    Answered = Callable[[bytes | Exception], None]

NO_RESPONDERS = "503"


class Answers:
    """Sends requests whose answers, or the error instead, go to a callback each."""

    def __init__(self, client: Client, patience: float) -> None:
        self._client = client
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._number = 0
        self._waiting: dict[str, Answered] = {}
        self._oldest: deque[tuple[float, str]] = deque()
        self._clock: asyncio.TimerHandle | None = None

    async def begin(self) -> None:
        """Listen; what nats-py raises passes through."""
        self._inbox = f"{self._client.new_inbox()}."
        await self._client.subscribe(f"{self._inbox}*", cb=self._message)

    async def ask(
        self,
        subject: str,
        payload: bytes,
        answered: Answered,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send a request; `answered` is called with the answer's payload, or with what went wrong.

        What is raised here was not sent, and is not told to `answered`.
        """
        self._number += 1
        token = str(self._number)
        self._waiting[token] = answered
        try:
            await self._client.publish(
                subject,
                payload,
                reply=self._inbox + token,
                headers=headers,  # type: ignore[arg-type]
            )
        except BaseException:
            self._waiting.pop(token, None)
            raise
        self._oldest.append((self._loop.time() + self._patience, token))
        if self._clock is None:
            self._clock = self._loop.call_later(self._patience, self._expire)

    async def _message(self, message: Msg) -> None:
        waiting, oldest = self._waiting, self._oldest
        answered = waiting.pop(message.subject[len(self._inbox) :], None)
        # Most are answered long before their time: none of them is left for the clock.
        while oldest and oldest[0][1] not in waiting:
            oldest.popleft()
        if answered is None:
            return  # it came too late
        headers = message.headers
        if headers and headers.get("Status") == NO_RESPONDERS:
            answered(NoRespondersError())
        else:
            answered(message.data)

    def _expire(self) -> None:
        """Give up what has waited long enough, and set the clock for what is the oldest then."""
        now = self._loop.time()
        while self._oldest and self._oldest[0][0] <= now:
            answered = self._waiting.pop(self._oldest.popleft()[1], None)
            if answered is not None:
                answered(NatsTimeoutError())
        self._clock = self._loop.call_at(self._oldest[0][0], self._expire) if self._oldest else None

    def close(self) -> None:
        """Give up everything."""
        if self._clock is not None:
            self._clock.cancel()
        waiting, self._waiting = list(self._waiting.values()), {}
        for answered in waiting:
            answered(NatsTimeoutError())
