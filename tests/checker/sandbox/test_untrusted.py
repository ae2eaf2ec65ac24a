"""The files of a submission lead the grader neither outside nor into an error."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import redis
from feast.protos.feast.core.Registry_pb2 import Registry as RegistryProto
from feast.protos.feast.types.Value_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

from checker.monitoring.figures import text_of
from checker.monitoring.schedule import _airflow_home, scheduled_jobs
from checker.sandbox import untrusted
from checker.sandbox.folders import Folders
from checker.sandbox.sandbox import Sandbox
from checker.serving.serving_model import provide_model
from checker.settings import CheckerSettings
from checker.streaming.stream import _point_at
from checker.submission.online import expiring, read_online
from checker.submission.registry import Source, View, read_registry
from checker.submission.submission import Submission
from checker.verdict.equality import equal_values
from checker.verdict.outcome import SubmissionError
from feast_plugins.redis_encoding import entity_key, feature_field, time_field

SECRET = "SECRET of the grader"
SCRIPT = "print('more than a stub')\n"

Make = Callable[..., Submission]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    return file


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a feature_store.yaml and a script per exercise as a submission; its code never runs."""

    def made(settings: str = "project: shop\n") -> Submission:
        for number in range(1, 7):
            exercise = tmp_path / "theirs" / f"exercise_0{number}"
            exercise.mkdir(parents=True)
            (exercise / "script.py").write_text(SCRIPT)
        (tmp_path / "theirs" / "exercise_01" / "feature_store.yaml").write_text(settings)
        folders = Folders(tmp_path / "box")
        folders.root.mkdir()
        folders.make()
        own_redis: Any = type("Redis", (), {"port": 6379})
        nothing: Any = None
        limits = CheckerSettings()
        return Submission(
            tmp_path / "theirs", Sandbox(folders, nothing, own_redis, limits), nothing, limits
        )

    return made


def replaced(file: Path, target: Path) -> None:
    file.unlink(missing_ok=True)
    file.symlink_to(target)


# ---- feature_store.yaml --------------------------------------------------------------------------


def test_its_variables_are_those_of_the_sandbox(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", SECRET)
    submission = make("registry: $LAB_FEATURE_REPO/data/r.db\nproject: ${SLACK_WEBHOOK_URL} $HOME")
    assert submission.registry_path == submission.repo / "data" / "r.db"
    assert submission.project == f"${{SLACK_WEBHOOK_URL}} {submission.sandbox.directory}"


@pytest.mark.parametrize(
    "settings",
    [
        "entity_key_serialization_version: ${SLACK_WEBHOOK_URL}",
        "entity_key_serialization_version: [3]",
        "entity_key_serialization_version: .inf",
        "entity_key_serialization_version: 2026-99-99",
        "entity_key_serialization_version: !!bool 3",
    ],
)
def test_a_key_version_that_is_none_is_its_mistake(
    settings: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", SECRET)
    with pytest.raises(SubmissionError, match=r"not a number|not valid YAML") as raised:
        make(settings).key_version  # noqa: B018
    assert SECRET not in raised.value.message


@pytest.mark.parametrize("registry", ["/outside.db", "../../r.db", '"a\\0b"'])
def test_a_registry_elsewhere_is_its_mistake(registry: str, make: Make) -> None:
    with pytest.raises(SubmissionError, match="the registry"):
        make(f"registry: {registry}").registry_path  # noqa: B018


# ---- Registries ----------------------------------------------------------------------------------

TABLES = {
    "entities": "entity_proto",
    "feature_views": "feature_view_proto",
    "stream_feature_views": "feature_view_proto",
    "on_demand_feature_views": "feature_view_proto",
    "feature_services": "feature_service_proto",
}
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT x FROM n WHERE x > 1"


def in_sqlite(path: Path, entities: object) -> Path:
    """Write a registry with no rows but one of entities; or a view in its place that never ends."""
    with closing(sqlite3.connect(path)) as database, database:
        for table, column in TABLES.items():
            database.execute(f"CREATE TABLE {table} ({column})")
        if entities == ENDLESS:
            database.execute("DROP TABLE entities")
            database.execute(f"CREATE VIEW entities(entity_proto) AS {ENDLESS}")
        elif entities is not None:
            database.execute("INSERT INTO entities VALUES (?)", [entities])
    return path


def test_a_registry_without_rows_is_read(tmp_path: Path) -> None:
    assert read_registry(in_sqlite(tmp_path / "50%20 r.db", None), tmp_path).entities == {}


@pytest.mark.parametrize("entities", [ENDLESS, b"\xff", "text", 3], ids=str)
def test_a_registry_of_odd_rows_is_its_mistake(
    entities: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("checker.submission.registry.LONGEST_S", 0.1)
    path = in_sqlite(tmp_path / "registry.db", entities)
    with pytest.raises(SubmissionError, match="not a Feast registry"):
        read_registry(path, tmp_path)


@pytest.mark.parametrize("kind", ["age", "type", "bytes"])
def test_a_registry_of_odd_views_is_its_mistake(kind: str, tmp_path: Path) -> None:
    proto = RegistryProto()
    spec = proto.feature_views.add().spec
    spec.ttl.seconds = 2**60 if kind == "age" else 0
    spec.features.add(name="odd", value_type=999 if kind == "type" else 2)
    path = tmp_path / "registry.db"
    path.write_bytes(b"\xff" * 9 if kind == "bytes" else proto.SerializeToString())
    with pytest.raises(SubmissionError, match="not a Feast registry"):
        read_registry(path, tmp_path)


# ---- Redis ---------------------------------------------------------------------------------------

SOURCE = Source("data/users.parquet", "event_timestamp", "", {})
VIEW = View("users", ("user",), ("user_id",), {"count": "INT64"}, timedelta(0), True, SOURCE)
FOR_EVER = Timestamp(seconds=2**60).SerializeToString()


@pytest.mark.parametrize(
    "stored",
    ["text", {feature_field("users", "count"): b"\xff"}, {time_field("users"): FOR_EVER}],
    ids=["no hash", "no protobuf", "no time"],
)
def test_what_feast_would_not_write_to_redis_is_its_mistake(
    stored: Any, client: redis.Redis
) -> None:
    key = entity_key("shop", "user_id", "user_1")
    client.set(key, stored) if stored == "text" else client.hset(key, mapping=stored)
    with pytest.raises(SubmissionError, match="does not hold users as Feast writes it"):
        read_online(client, "shop", 3, VIEW, ["user_1"])


def test_a_number_that_is_stored_as_a_text_is_not_that_number(client: redis.Redis) -> None:
    stored = {feature_field("users", "count"): Value(string_val="7").SerializeToString()}
    client.hset(entity_key("shop", "user_id", "user_1"), mapping=stored)
    found = read_online(client, "shop", 3, VIEW, ["user_1"])
    assert not equal_values(pd.Series([7]), found["count"]).any()


def test_hashes_that_expire_before_the_next_run_are_counted(client: redis.Redis) -> None:
    for user, seconds in {"minute": 60, "day": 86_400, "lasting": None}.items():
        key = entity_key("shop", "user_id", user)
        client.hset(key, "field", "value")
        if seconds:
            client.expire(key, seconds)
    assert expiring(client, "shop", 3, VIEW, ["minute", "day", "lasting", "absent"]) == 1


# ---- Links that are made while it runs -----------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "read"),
    [
        ("exercise_06/crontab", scheduled_jobs),
        ("exercise_06/own.cron", scheduled_jobs),
        ("exercise_01/feature_store.yaml", lambda submission: submission.store_config),
    ],
)
def test_a_file_that_is_a_link_is_not_read(
    file: str, read: Callable[[Submission], object], make: Make, secret: Path
) -> None:
    submission = make()
    replaced(submission.root / file, secret)
    with pytest.raises(SubmissionError, match="not a file of the submission"):
        read(submission)


def test_a_report_that_is_a_link_is_not_read(make: Make, secret: Path) -> None:
    submission = make()
    report = submission.root / "report.txt"
    replaced(report, secret)
    assert text_of(report, submission.root) == ""


def test_the_folder_itself_may_become_a_link(make: Make, secret: Path) -> None:
    submission = make()
    submission.root.rename(submission.root.with_name("moved"))
    submission.root.symlink_to(secret.parent)
    with pytest.raises(SubmissionError, match="not a file of the submission"):
        untrusted.content(submission.root / "secret", submission.root)


def test_nothing_is_written_through_a_link_that_leads_outside(make: Make, secret: Path) -> None:
    submission = make()
    replaced(submission.root / "link", secret)
    replaced(submission.root / "folder", secret.parent)
    replaced(submission.root / "circle", submission.root / "circle")
    for name in ("link", "folder/secret", "folder/new", "circle"):
        with (
            pytest.raises(SubmissionError, match=r"outside|nowhere"),
            untrusted.written(submission.root / name, submission.root),
        ):
            pass
    assert secret.read_text() == SECRET
    assert not secret.with_name("new").exists()


WRITERS: dict[str, tuple[str, Callable[[Submission], object]]] = {
    "stream": ("exercise_05/job.py", partial(_point_at, "127.0.0.1:19092")),
    "model": ("exercise_04/models", provide_model),
    "airflow": ("airflow", _airflow_home),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_no_step_of_the_grader_writes_through_a_link(
    writer: str, make: Make, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("checker.monitoring.schedule._empty_database", lambda _: secret)
    name, write = WRITERS[writer]
    submission = make()
    elsewhere = secret.with_name("elsewhere")
    elsewhere.mkdir()
    replaced(submission.root / name, secret if writer == "stream" else elsewhere)
    with pytest.raises(SubmissionError):
        write(submission)
    assert secret.read_text() == SECRET
    assert not any(elsewhere.iterdir())


def test_a_file_is_written_again_through_a_link_within(make: Make) -> None:
    root = make().root
    (root / "file").write_text("longer than before")
    replaced(root / "link", root / "file")
    for name in ("link", "new/file"):
        with untrusted.written(root / name, root) as file:
            file.write(b"short")
        assert (root / name).read_text() == "short"


def test_a_pipe_or_a_folder_is_no_file_to_write(make: Make) -> None:
    root = make().root
    os.mkfifo(root / "pipe")
    (root / "folder").mkdir()
    for name in ("pipe", "folder", "pipe/file"):
        with (
            pytest.raises(SubmissionError, match="cannot be written"),
            untrusted.written(root / name, root),
        ):
            pass


@pytest.mark.parametrize("digits", [308, 309, 400, 4_000])
def test_a_whole_number_of_any_length_can_be_compared(digits: int) -> None:
    answer = untrusted.reply(f'{{"value": -{"9" * digits}}}')
    assert not equal_values(pd.Series([1.5, "x"]), pd.Series([answer["value"]] * 2)).any()


@pytest.mark.parametrize("index", [True, False])
def test_a_table_of_csv_has_the_columns_that_were_written(tmp_path: Path, index: bool) -> None:
    frame = pd.DataFrame({"amount": [1.5, None], "label": [0, 1]}, index=[7, 3])
    frame.to_csv(tmp_path / "y.csv", index=index)
    read = untrusted.table(tmp_path / "y.csv", tmp_path)
    pd.testing.assert_frame_equal(read, frame.reset_index(drop=True))


@pytest.mark.parametrize("content", [b"", b'a,b\n1,2,3\n"', b"\xff\xfe\x00"])
def test_a_table_of_csv_that_cannot_be_read_is_its_mistake(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "X.csv").write_bytes(content)
    with pytest.raises(SubmissionError, match="cannot be read"):
        untrusted.table(tmp_path / "X.csv", tmp_path)
