"""What the writer knows: each user's newest tiles, and when a value of theirs changes next.

Users are numbers in here, and a user's tiles are bytes, 64 a tile: so a batch of users is gathered
and computed in columns, and a million users fit into memory. What is older than the day before a
user's newest tile is forgotten, and so memory does not grow with time.
"""

import heapq

import numpy as np
import polars as pl

from exercise_05_streaming.production.windows import NEXT_CHANGE, TILE, features, merged, remembered

NUMBERED = {**TILE, "user_id": pl.Int64()}
TILE_BYTES = 8 * len(TILE)
AT_ONCE = 0  # a moment that is always past


class KnownTiles:
    """Tiles by user, and the users by the moment at which they are due to be written."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._names: list[str] = []
        self._tiles: list[bytes] = []
        self._due: dict[int, set[int]] = {}
        self._moments: list[int] = []  # a heap of the keys of _due

    def __len__(self) -> int:
        return len(self._names)

    @property
    def tiles(self) -> int:
        """How many tiles are kept."""
        return sum(map(len, self._tiles)) // TILE_BYTES

    def learn(self, tiles: pl.DataFrame) -> None:
        """Take in tiles, in any order and any number of times; their users are due at once."""
        if tiles.is_empty():
            return
        numbers = [self._number(user) for user in tiles["user_id"]]
        new = tiles.with_columns(pl.Series("user_id", numbers, pl.Int64))
        users = new["user_id"].unique(maintain_order=True)
        known = merged(pl.concat([self._of(users.to_list()), new.select(TILE.names())]))
        self._keep(remembered(known))
        self._mark(AT_ONCE, users.to_list())

    def is_due(self, now_ms: int) -> bool:
        """Whether there is anyone of whom a value has changed."""
        return bool(self._moments) and self._moments[0] <= now_ms

    def due(self, now_ms: int, limit: int) -> list[int]:
        """Up to `limit` users of whom a value has changed; they are marked as such no longer."""
        users: set[int] = set()
        while self.is_due(now_ms) and len(users) < limit:
            waiting = self._due[self._moments[0]]
            while waiting and len(users) < limit:
                users.add(waiting.pop())
            if not waiting:
                del self._due[heapq.heappop(self._moments)]
        return sorted(users)

    def features(self, users: list[int], now_ms: int) -> pl.DataFrame:
        """The features of `users`, in ascending order, at `now_ms`; see windows.features."""
        rows = features(self._of(users), now_ms)
        names = pl.Series("user_id", [self._names[user] for user in rows["user_id"]], pl.String)
        return rows.with_columns(names)

    def wait_for_change(self, users: list[int], rows: pl.DataFrame) -> None:
        """Mark `users` as due when a value in their `rows` changes next, if it ever does."""
        for user, moment in zip(users, rows[NEXT_CHANGE], strict=True):
            if moment is not None:
                self._mark(moment, [user])

    def mark(self, users: list[int]) -> None:
        """Mark `users` as due at once."""
        self._mark(AT_ONCE, users)

    def mark_all(self) -> None:
        """Mark everyone as due at once."""
        self._mark(AT_ONCE, list(range(len(self))))

    def _number(self, user: str) -> int:
        number = self._numbers.setdefault(user, len(self._names))
        if number == len(self._names):
            self._names.append(user)
            self._tiles.append(b"")
        return number

    def _of(self, users: list[int]) -> pl.DataFrame:
        content = b"".join([self._tiles[user] for user in users])
        rows = np.frombuffer(content, np.int64).reshape(-1, len(TILE))
        return pl.DataFrame(rows, schema=NUMBERED, orient="row")

    def _keep(self, tiles: pl.DataFrame) -> None:
        """Store tiles that are in order of their users, and all that is known of these."""
        content = tiles.to_numpy(order="c").tobytes()
        of_user = tiles["user_id"].rle().struct.unnest()
        begin = 0
        for user, count in zip(of_user["value"], of_user["len"], strict=True):
            end = begin + count * TILE_BYTES
            self._tiles[user] = content[begin:end]
            begin = end

    def _mark(self, moment: int, users: list[int]) -> None:
        if moment not in self._due:
            self._due[moment] = set()
            heapq.heappush(self._moments, moment)
        self._due[moment].update(users)
