"""The six criteria of exercise 1: what `feast apply` registered, and whether it can be used."""

from datetime import timedelta
from uuid import uuid4

import pandas as pd
import pyarrow.parquet as pq

from checker.api import (
    CounterExample,
    NotAttemptedError,
    Outcome,
    Registry,
    Submission,
    SubmissionError,
    View,
    criterion,
    place_feature_tables,
    place_raw_tables,
    read_online,
    scripts,
    source_path,
)

ENTITIES = ("user_id", "merchant_id", "product_id")
NO_FILE_YET = (
    "Feast looks into a view's file for the type of an entity that declares none: give each a "
    "value_type: docs/errata.md#entities-without-a-type"
)
NONCE = 741_852
NONCE_OF_TYPE = {"STRING": str(NONCE), "BOOL": True}


@criterion("1.1")
def feast_applies(submission: Submission) -> Outcome:
    """`feast apply` runs without an error, and writes a registry of its own making."""
    if not scripts(submission.repo):
        raise NotAttemptedError("no script beside feature_store.yaml defines anything yet")
    place_raw_tables(submission)
    if submission.names.prepare:
        submission.run(submission.names.prepare)
    submission.registry_path.unlink(missing_ok=True)
    status, output = submission.feast("apply")
    required = "exit status 0 and a new registry"
    if status != 0:
        said = _last_line(submission, output)
        hint = NO_FILE_YET if "FileNotFoundError" in said else ""
        return Outcome(False, f"exit status {status}", required, f"it said: {said}", hint)
    registry = submission.registry
    submission.adopt_join_keys(registry.entities.values())
    place_feature_tables(submission)
    objects = len(registry.entities) + len(registry.views) + len(registry.services)
    return Outcome(objects > 0, f"{objects} objects registered", required)


def _last_line(submission: Submission, output: str) -> str:
    """Where Python says what went wrong, with paths as the submission knows them."""
    lines = output.strip().splitlines()[-1:] or ["nothing"]
    return lines[0].replace(f"{submission.root}/", "")


@criterion("1.2")
def three_entities(submission: Submission) -> Outcome:
    """User, merchant and product are entities, each with a join key of its own."""
    join_keys = set(submission.registry.entities.values())
    missing = [key for key in ENTITIES if submission.names.key(key) not in join_keys]
    return Outcome(
        not missing,
        f"join keys: {', '.join(sorted(join_keys)) or 'none'}",
        "a join key each for user, merchant and product",
        f"no entity is joined on {', '.join(missing)}" if missing else "",
        "an entity's join key defaults to its name; name yours in submission.toml, [entities]",
    )


@criterion("1.3")
def five_feature_views(submission: Submission) -> Outcome:
    """Five stored feature views, no two alike, each with rows behind it."""
    views = list(submission.registry.views.values())
    distinct = {(view.join_keys, frozenset(view.features)) for view in views}
    problems = {view.name: _problem(submission, view) for view in views}
    unusable = {name: problem for name, problem in problems.items() if problem}
    return Outcome(
        len(distinct) >= 5 and not unusable,
        f"{len(views)} views, {len(distinct)} distinct, {len(views) - len(unusable)} with data",
        "at least 5 distinct views, each with data",
        "; ".join(f"{name}: {problem}" for name, problem in unusable.items()),
        "on-demand views do not count: they store nothing",
    )


def _problem(submission: Submission, view: View) -> str:
    path = source_path(submission, view)
    if not path.is_file():
        return f"there is no {path.name}"
    table = pq.ParquetFile(path)
    columns = {view.source.column_of.get(name, name) for name in view.features}
    columns |= {view.source.event_time, *view.join_keys}
    missing = columns - set(table.schema_arrow.names)
    if missing:
        return f"{path.name} has no column {', '.join(sorted(missing))}"
    return "" if table.metadata.num_rows else f"{path.name} is empty"


@criterion("1.4")
def two_feature_services(submission: Submission) -> Outcome:
    """Two feature services that differ, and name only features that exist."""
    registry = submission.registry
    asked = {name: _references(registry, name) for name in registry.services}
    dangling = sorted(
        {ref for refs in asked.values() for ref in refs if not _exists(registry, ref)}
    )
    distinct = {refs for refs in asked.values() if refs}
    return Outcome(
        len(distinct) >= 2 and not dangling,
        f"{len(asked)} services, {len(distinct)} distinct and not empty",
        "at least 2, with different features that are registered",
        f"not registered: {', '.join(':'.join(ref) for ref in dangling)}" if dangling else "",
    )


def _references(registry: Registry, service: str) -> frozenset[tuple[str, str]]:
    features = registry.services[service].features
    return frozenset((view, name) for view, names in features.items() for name in names)


def _exists(registry: Registry, reference: tuple[str, str]) -> bool:
    view, feature = reference
    stored = registry.views.get(view)
    return feature in (stored.features if stored else registry.on_demand.get(view, ()))


@criterion("1.5")
def redis_is_connected(submission: Submission) -> Outcome:
    """A row that Feast writes to the online store is found in Redis."""
    view = next((v for v in submission.registry.views.values() if v.online and v.entities), None)
    if view is None:
        raise SubmissionError("no feature view is both online and about an entity")
    entity = f"nonce_{uuid4().hex}"
    submission.probe("write_online", view=view.name, rows=_nonce_row(submission, view, entity))
    found = read_online(
        submission.sandbox.redis.client(),
        submission.project,
        submission.key_version,
        view,
        [entity],
    )
    stored = found.iloc[0].drop("event_timestamp").dropna()
    return Outcome(
        len(stored) == len(view.features),
        f"{len(stored)} of {len(view.features)} features of {view.name} arrived",
        "all of them, in Redis at localhost:6379, database 0",
        hint="online_store: type redis, connection_string localhost:6379",
        examples=[CounterExample(f"{view.join_keys[0]}={entity}", str(NONCE), str(dict(stored)))],
    )


def _nonce_row(submission: Submission, view: View, entity: str) -> pd.DataFrame:
    now = pd.Timestamp(submission.hidden.as_of)
    row = {view.join_keys[0]: entity, view.source.event_time: now}
    if view.source.created:
        row[view.source.created] = now + timedelta(seconds=1)
    values = {name: NONCE_OF_TYPE.get(kind, NONCE) for name, kind in view.features.items()}
    return pd.DataFrame([{**row, **values}])


@criterion("1.6")
def metadata_can_be_queried(submission: Submission) -> Outcome:
    """`feast feature-views list` prints every feature view of the registry."""
    status, output = submission.feast("feature-views", "list")
    if status != 0:
        said = _last_line(submission, output)
        return Outcome(False, f"exit status {status}", "exit status 0", f"it said: {said}")
    printed = {line.split()[0] for line in output.splitlines() if line.split()}
    missing = sorted(set(submission.registry.views) - printed)
    return Outcome(
        not missing,
        f"{len(submission.registry.views) - len(missing)} views listed",
        f"all {len(submission.registry.views)} of the registry",
        f"not listed: {', '.join(missing)}" if missing else "",
        "the list leaves out a StreamFeatureView; a FeatureView on a PushSource is listed",
    )
