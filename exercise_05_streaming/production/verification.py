"""Holds the stream against a recount of the log: every tile, and every value in Redis.

python -m exercise_05_streaming.production.verification
"""

import sys
import time

import polars as pl

from exercise_05_streaming.production.online_rows import VERSION_FIELD, VIEW
from exercise_05_streaming.production.recount import Features, read_log, recount
from exercise_05_streaming.production.topic_reader import TopicReader
from exercise_05_streaming.production.windows import FEATURES, TILE
from exercise_05_streaming.production.writer import tiles_in
from feast_plugins.redis_encoding import decode_value, entity_key, feature_field
from lab.errors import run_script
from lab.feature_store import connect_redis, effective_config
from lab.settings import settings

USERS_AT_ONCE = 1_000
SHOWN = 5


def differences() -> list[str]:
    """What is not as a recount of the log says, now; a line for each tile and each user."""
    log = read_log()
    tiles = newest_tiles()
    counted = recount(log, now_ms())
    users = sorted(counted.features)
    # Time passes: what Redis is to hold is counted at the moment of reading it.
    found, wanted = stored_features(users), recount(log, now_ms()).features
    return [
        *tile_differences(tiles, counted.tiles),
        *(
            f"{user}: {change_of(found, wanted, user)}"
            for user in users
            if found[user] != wanted[user]
        ),
    ]


def newest_tiles() -> pl.DataFrame:
    """Each tile as the last record of its key says, in order."""
    with TopicReader(settings.tiles_topic) as topic:
        parts = [tiles_in(records) for records in topic.to_the_end()]
    all_versions = pl.concat([TILE.to_frame(), *parts])
    return all_versions.unique(["user_id", "tile_start"], keep="last").sort("user_id", "tile_start")


def stored_features(users: list[str]) -> Features:
    """The features of `users` as Redis holds them; none of a user that it does not know."""
    project = effective_config()["project"]
    fields = [VERSION_FIELD, *(feature_field(VIEW, feature) for feature in FEATURES)]
    client = connect_redis()
    features: Features = {}
    for start in range(0, len(users), USERS_AT_ONCE):
        some = users[start : start + USERS_AT_ONCE]
        pipe = client.pipeline(transaction=False)
        for user in some:
            pipe.hmget(entity_key(project, "user_id", user), fields)
        for user, (version, *values) in zip(some, pipe.execute(), strict=True):
            known = zip(FEATURES, map(decode_value, values), strict=True)
            features[user] = dict(known) if version else {}
    return features


def tile_differences(found: pl.DataFrame, wanted: pl.DataFrame) -> list[str]:
    """The tiles that are only in one of the two, or other in the one than in the other."""
    names = TILE.names()
    too_much = found.join(wanted, on=names, how="anti").with_columns(pl.lit("found").alias("is"))
    missing = wanted.join(found, on=names, how="anti").with_columns(pl.lit("wanted").alias("is"))
    return [str(row) for row in pl.concat([too_much, missing]).sort(names).iter_rows(named=True)]


def change_of(found: Features, wanted: Features, user: str) -> str:
    """The values that differ, as Redis has them and as they should be."""
    names = [name for name in FEATURES if found[user].get(name) != wanted[user][name]]
    return ", ".join(f"{name} {found[user].get(name)} for {wanted[user][name]}" for name in names)


def now_ms() -> int:
    return int(time.time() * 1_000)


def main() -> None:
    """Say what differs; status 1 if anything does."""
    found = differences()
    print("\n".join(found[:SHOWN]))
    print(f"{len(found)} differences from a recount of {settings.transactions_topic}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    run_script(main)
