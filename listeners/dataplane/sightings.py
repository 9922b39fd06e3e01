"""Which client certificates were let in where since it was last written down, added up in memory."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from listeners.dataplane.connection_log import ConnectionRecord

logger = logging.getLogger(__name__)

INTERVAL = 1.0  # seconds between two times that they are written down
LONGEST_PAUSE = 30.0  # seconds, while that fails
AT_ONCE = 250  # in one transaction, some 20 ms: on SQLite others who write wait for its end
BREATH = 0.05  # seconds between two in a row, in which they get their turn
MOST = 10_000  # different ones that wait


@dataclass(frozen=True)
class Sighting:
    """A client certificate that was let in at a listener, `count` connections long."""

    listener: int
    fingerprint: str
    subject: str
    issuer: str
    serial_number: str
    first_seen: datetime
    last_seen: datetime
    count: int


class Sightings:
    """What `write` is given about once a second. Bounded: connections of more than `most` different ones at
    once are counted as `missed`.
    """

    def __init__(self, write: Callable[[Sequence[Sighting]], None], most: int = MOST) -> None:
        self._write = write
        self._most = most
        self._seen: dict[tuple[int, str], Sighting] = {}
        self._failure = ""
        self.missed = 0

    def take(self, record: ConnectionRecord) -> None:
        if not record.is_admitted:
            return
        self._add(
            Sighting(
                record.listener,
                record.fingerprint,
                record.subject,
                record.issuer,
                record.serial_number,
                record.began,
                record.ended,
                count=1,
            )
        )

    async def write_forever(self) -> None:
        pause = INTERVAL
        while True:
            await asyncio.sleep(pause)
            missed, self.missed = self.missed, 0
            if missed:
                logger.warning("%d connections are not counted: too many certificates at once", missed)
            pause = INTERVAL if await self.write() else min(2 * pause, LONGEST_PAUSE)

    async def write(self) -> bool:
        """Whether all of it is written down; what is not stays here."""
        while self._seen:
            batch = [self._seen.pop(key) for key in list(self._seen)[:AT_ONCE]]
            try:
                await asyncio.to_thread(self._write, batch)
            except Exception as error:
                # The database may be away for a while; the configuration is not concerned.
                if repr(error) != self._failure:
                    logger.exception("writing down which clients were seen failed; trying again")
                self._failure = repr(error)
                for one in batch:
                    self._add(one)
                return False
            if len(batch) == AT_ONCE:
                await asyncio.sleep(BREATH)
        self._failure = ""
        return True

    def _add(self, new: Sighting) -> None:
        key = new.listener, new.fingerprint
        known = self._seen.get(key)
        if known:
            self._seen[key] = replace(
                known,
                first_seen=min(known.first_seen, new.first_seen),
                last_seen=max(known.last_seen, new.last_seen),
                count=known.count + new.count,
            )
        elif len(self._seen) < self._most:
            self._seen[key] = new
        else:
            self.missed += new.count
