"""Deleted views and `feast teardown` leave nothing in Redis, and take nothing of other projects."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, RepoConfig
from feast.types import Int64

from feast_plugins import redis_deletion
from feast_plugins.redis_encoding import entity_key, feature_field, time_field
from tests.feast_plugins.asof_repo import START, feature_view, online, source, write_rows
from tests.feast_plugins.engine.engine_repo import END, ENGINE, SHOP, Dump, OpenStore, row

VERSIONS = {"enable_online_feature_view_versioning": True}
NO_ENTITY_KEYS = [b"", b"user:1", b"\xff" * 40, b"\0\0\0\0other", b"\1\0\0\0p"]


def view_over(file: Path, name: str, *entities: Entity, **options: Any) -> FeatureView:
    rows = [{**row(user, 0, n), "shop_id": n, "more": 7} for n, user in enumerate(("a", "b"))]
    return feature_view(name, source(write_rows(file, rows)), *entities, **options)


def delete(store: FeatureStore, *objects: Any) -> None:
    store.apply([], objects_to_delete=list(objects), partial=False)


def test_precomputed_vectors_are_served_with_the_engine_and_go_with_a_view(
    open_store: OpenStore, dump: Callable[[], Dump], tmp_path: Path
) -> None:
    one, two = (view_over(tmp_path / f"{name}.parquet", name) for name in ("v", "w"))
    service = FeatureService(name="s", features=[one, two], precompute_online=True)
    store = open_store(one, two, service)
    store.materialize(START, END)
    vectors = {time_field("__precomputed__s"), feature_field("__precomputed__s", "vector")}
    assert all(vectors < set(fields) for fields in dump().values())
    options = {"features": store.get_feature_service("s"), "full_feature_names": True}
    rows = [{"user_id": user} for user in ("b", "a")]
    found = store.get_online_features(entity_rows=rows, **options).to_dict()
    assert (found["v__value"], found["w__value"]) == ([1, 0], [1, 0])
    delete(store, two, service)
    left = {time_field("v"), feature_field("v", "value")}
    assert [set(fields) for fields in dump().values()] == [left, left]
    assert online(store, "a", "b") == [0, 1]


def test_an_entity_without_views_is_deleted(
    open_store: OpenStore, dump: Callable[[], Dump], tmp_path: Path
) -> None:
    view = view_over(tmp_path / "v.parquet", "v")
    service = FeatureService(name="s", features=[view], precompute_online=True)
    store = open_store(view, service)
    store.materialize(START, END)
    assert len(dump()) == 2
    delete(store, view, service)
    assert dump() == {}


def test_all_versions_of_a_view_are_deleted(
    open_store: OpenStore, dump: Callable[[], Dump], tmp_path: Path
) -> None:
    registry = {"path": str(tmp_path / "versions.db"), **VERSIONS}
    other = view_over(tmp_path / "w.parquet", "v_v1x")
    for features in ({"value": Int64}, {"value": Int64, "more": Int64}):
        view = view_over(tmp_path / "v.parquet", "v", features=features)
        store = open_store(view, other, parts={**ENGINE, "registry": registry})
        store.materialize(START, END)
    assert all(time_field("v_v1") in fields for fields in dump().values())
    delete(store, view)
    left = {time_field("v_v1x"), feature_field("v_v1x", "value")}
    assert [set(fields) for fields in dump().values()] == [left, left]


def test_a_view_that_is_named_like_a_version_stays(
    open_store: OpenStore, dump: Callable[[], Dump], tmp_path: Path
) -> None:
    view, other = (view_over(tmp_path / f"{name}.parquet", name) for name in ("v", "v_v2"))
    registry = {"path": str(tmp_path / "versions.db"), **VERSIONS}
    store = open_store(view, other, parts={**ENGINE, "registry": registry})
    store.materialize(START, END)
    delete(store, view)
    left = {time_field("v_v2"), feature_field("v_v2", "value")}
    assert [set(fields) for fields in dump().values()] == [left, left]


def test_vectors_of_services_without_the_view_stay(
    open_store: OpenStore, dump: Callable[[], Dump], tmp_path: Path
) -> None:
    one, two = (view_over(tmp_path / f"{name}.parquet", name) for name in ("v", "w"))
    service = FeatureService(name="s", features=[one], precompute_online=True)
    store = open_store(one, two, service)
    store.materialize(START, END)
    delete(store, two)
    left = {time_field(name) for name in ("v", "__precomputed__s")}
    left |= {feature_field("v", "value"), feature_field("__precomputed__s", "vector")}
    assert [set(fields) for fields in dump().values()] == [left, left]


def test_a_view_that_is_written_during_a_deletion_stays(
    client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write falls between the read of a hash's fields and their deletion."""
    view = view_over(tmp_path / "v.parquet", "v")
    config = RepoConfig(
        project="p",
        provider="local",
        registry=str(tmp_path / "r.db"),
        entity_key_serialization_version=3,
    )
    key = entity_key("p", "user_id", "a")
    client.hset(key, mapping={time_field("v"): b"\x08\x01", feature_field("v", "value"): b""})
    at_once = redis_deletion._at_once

    def with_a_write(client: redis.Redis, commands: list[tuple[Any, ...]]) -> list[Any]:
        replies = at_once(client, commands)
        if commands and commands[0][0] == "HKEYS":
            client.hset(key, time_field("w"), b"\x08\x01")
        return replies

    monkeypatch.setattr(redis_deletion, "_at_once", with_a_write)
    monkeypatch.setattr(type(view), "join_keys", ["user_id"])
    redis_deletion.delete_view(client, config, view)
    assert client.hkeys(key) == [time_field("w")]


def test_teardown_deletes_the_project_and_nothing_else(
    open_store: OpenStore, client: redis.Redis, tmp_path: Path
) -> None:
    """Feast's own leaves views without entities behind, and deletes other projects' keys."""
    both = view_over(tmp_path / "both.parquet", "both")
    shops = view_over(tmp_path / "shops.parquet", "shops", SHOP)
    everyone = FeatureView(
        name="everyone", source=both.batch_source, schema=[Field(name="value", dtype=Int64)]
    )
    store = open_store(both, shops, everyone)
    store.materialize(START, END)
    assert client.dbsize() == 5
    (first, *_) = client.scan_iter()
    others = [first[: -len(store.project)] + b"other_" + store.project.encode(), *NO_ENTITY_KEYS]
    for key in others:
        client.hset(key, mapping={time_field("v"): b"\x08\x01"})
    store.teardown()
    assert sorted(client.scan_iter()) == sorted(others)
