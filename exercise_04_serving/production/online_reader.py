"""Reads features by the compiled reader of `feast_plugins` in place of Feast's SDK."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from math import isfinite

from feast import FeatureStore, FeatureView
from redis import ConnectionError as RedisConnectionError

from exercise_04_serving.app.cache import Features, Key
from exercise_04_serving.app.features import FeatureReader, feature_names
from feast_plugins.online_errors import RedisUnavailable
from feast_plugins.online_features import OnlineFeatures
from feast_plugins.online_reader import OnlineReader

LOOK_S = 1


class CompiledReader(FeatureReader):
    """Compiles the reads once: all batch features are one message to Redis, without a thread.

    `read_concurrency` reads are in progress at most: one that waits behind a thousand others to be
    packed and unpacked would count that as Redis's time.
    """

    def __init__(
        self, store: FeatureStore, service_name: str, timeout_s: float, read_concurrency: int
    ) -> None:
        super().__init__(store, service_name)
        self._batch, self._streaming = (
            OnlineReader.open(store.config, service_name, views=views, timeout_s=timeout_s)
            for views in ([view.name for view in self.batch_views], [self.streaming_view.name])
        )
        self._slots = asyncio.Semaphore(read_concurrency)
        self._progress: float | None = None
        self._next_look = 0.0

    async def read_batch(self, keys: Collection[Key]) -> dict[Key, Features]:
        """Return the batch features of users and merchants. Raises redis.RedisError."""
        names = [self.join_key[view.name] for view in self.batch_views]
        ids = {name: [one for entity, one in keys if entity == name] for name in names}
        most = max(map(len, ids.values()))  # a row has an id of each entity: repeat the last one
        padded = {n: of + (of or [""])[-1:] * (most - len(of)) for n, of in ids.items()}
        found = await self._found(self._batch, padded)
        rows: dict[Key, Features] = {key: {} for key in keys}
        for view, name in zip(self.batch_views, names, strict=True):
            for one, features in zip(ids[name], self._rows(view, found), strict=False):
                rows[name, one] |= features
        return rows

    async def read(self, view: FeatureView, ids: Sequence[str]) -> list[Features]:
        """Return the streaming features of each id. Raises redis.RedisError."""
        found = await self._found(self._streaming, {self.join_key[view.name]: ids})
        return self._rows(view, found)

    async def _found(
        self, reader: OnlineReader, ids: Mapping[str, Sequence[str]]
    ) -> OnlineFeatures:
        async with self._slots:
            try:
                return await reader.read_async(ids)
            except RedisUnavailable as error:
                raise RedisConnectionError(str(error)) from error

    def _rows(self, view: FeatureView, found: OnlineFeatures) -> list[Features]:
        """Return a row for each id; an expired or null value is a missing one."""
        columns = []
        for name in feature_names(view):
            missing = self.quiet.get(name)
            columns.append([v if _is_known(v) else missing for v in found.values[name]])
        return [
            dict(zip(feature_names(view), row, strict=True)) for row in zip(*columns, strict=True)
        ]

    async def progress(self) -> float | None:
        """Return the progress time, read once a second, not for each request."""
        if time.monotonic() > self._next_look:
            self._next_look = time.monotonic() + LOOK_S  # other requests do not look meanwhile
            await self._look()
        return self._progress

    async def _look(self) -> None:
        self._progress = await super().progress()

    def close(self) -> None:
        """Close all connections."""
        self._batch.close()
        self._streaming.close()


def _is_known(value: object) -> bool:
    return isinstance(value, int | float) and isfinite(value)
