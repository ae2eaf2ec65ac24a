"""The six criteria of exercise 1: what `feast apply` registered, and whether it can be used."""

import re
from datetime import timedelta
from uuid import uuid4

import pandas as pd

from checker.api import (
    KNOWN_VIEWS,
    CounterExample,
    NotAttemptedError,
    Outcome,
    Registry,
    Submission,
    SubmissionError,
    View,
    criterion,
    key_lifetime,
    own_tables,
    own_view,
    place_feature_tables,
    place_raw_tables,
    read_online,
    scripts,
    view_problem,
)

ENTITIES = ("user_id", "merchant_id", "product_id")
NO_FILE_YET = (
    "Feast looks into a view's file for the type of an entity that declares none: give each a "
    "value_type: docs/errata.md#entities-without-a-type"
)
ERROR_LINE = re.compile(r"[\w.]*(Error|Exception|Exit|Interrupt)\b")
ERROR_LINES = 12
SHORTEST_LIFE_S = 86_000  # a day, less what passes until it is read
REDIS_HINT = "online_store: type redis, connection_string localhost:6379"
NONCE = 741_852
NONCE_OF_TYPE = {"STRING": str(NONCE), "BOOL": True}


@criterion("1.1")
def feast_applies(submission: Submission) -> Outcome:
    """`feast apply` runs without an error, and writes a registry of its own making."""
    if not scripts(submission.repo):
        raise NotAttemptedError("no script next to feature_store.yaml defines anything yet")
    place_raw_tables(submission)
    if submission.names.prepare:
        submission.run(submission.names.prepare)
    submission.registry_path.unlink(missing_ok=True)
    status, output = submission.feast("apply")
    required = "exit status 0 and a new registry"
    if status != 0:
        message = _error(submission, output)
        hint = NO_FILE_YET if "FileNotFoundError" in message else ""
        return Outcome(False, f"exit status {status}", required, f"error: {message}", hint)
    registry = submission.registry
    submission.adopt_join_keys(registry.entities.values())
    submission.remember(own_tables(submission))
    place_feature_tables(submission)
    objects = len(registry.entities) + len(registry.views) + len(registry.services)
    return Outcome(objects > 0, f"{objects} objects registered", required)


def _error(submission: Submission, output: str) -> str:
    """Return the whole of Python's last error, with paths as the submission knows them."""
    lines = output.strip().splitlines() or ["nothing"]
    starts = [n for n, line in enumerate(lines) if ERROR_LINE.match(line)]
    text = "\n".join(lines[starts[-1] if starts else -1 :][:ERROR_LINES])
    return text.replace(f"{submission.root}/", "")


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
    """Five stored feature views of all three entities, no two alike, each declared as its data."""
    views = list(submission.registry.views.values())
    problems = {view.name: view_problem(submission, view) for view in views}
    wrong = [f"{name}: {problem}" for name, problem in problems.items() if problem]
    distinct = _distinct(views)
    keys = {submission.names.key(key) for key in ENTITIES}
    unused = keys & set(submission.registry.entities.values()) - {
        k for v in views for k in v.join_keys
    }
    wrong += [f"no view is about {key}" for key in sorted(unused)]
    return Outcome(
        distinct >= 5 and not wrong,
        f"{len(views)} views, {distinct} distinct, {sum(not p for p in problems.values())} usable",
        "at least 5 distinct views of all entities, each with data, a TTL and the data's types",
        "; ".join(wrong),
        "on-demand views do not count: they store nothing" if distinct < 5 else "",
    )


def _distinct(views: list[View]) -> int:
    """Count views that differ in features, and in the columns that these are taken from."""
    names = {(view.join_keys, frozenset(view.features)) for view in views}
    columns = {
        (view.join_keys, view.source.path, frozenset(map(view.source.column, view.features)))
        for view in views
    }
    return min(len(names), len(columns))


@criterion("1.4")
def two_feature_services(submission: Submission) -> Outcome:
    """Two feature services that differ, and name only features that exist."""
    registry = submission.registry
    references = {name: _references(registry, name) for name in registry.services}
    dangling = sorted(
        {ref for refs in references.values() for ref in refs if not _exists(registry, ref)}
    )
    distinct = {refs for refs in references.values() if refs}
    return Outcome(
        len(distinct) >= 2 and not dangling,
        f"{len(references)} services, {len(distinct)} distinct and not empty",
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
    """A row that Feast writes for each known view is found in Redis, and stays there."""
    entity = f"nonce_{uuid4().hex}"
    views = _online_views(submission)
    with submission.prober() as probe:
        for view in views:
            probe("write_online", view=view.name, rows=_nonce_row(submission, view, entity))
    stored = {view.name: _stored(submission, view, entity) for view in views}
    absent = [view for view in views if not set(view.features) <= set(stored[view.name])]
    lifetime = min(_lifetime(submission, view, entity) for view in views)
    expires = not absent and lifetime < SHORTEST_LIFE_S
    return Outcome(
        not absent and not expires,
        f"the features of {len(views) - len(absent)} of {len(views)} views arrived",
        "all of them, in Redis at localhost:6379, database 0, for a day or longer",
        f"keys expire after {lifetime:.0f} s" if expires else "",
        "set no key_ttl_seconds, or a longer one" if expires else REDIS_HINT,
        examples=[
            CounterExample(f"{view.name} of {entity}", str(NONCE), str(stored[view.name]))
            for view in absent[:3]
        ],
    )


def _stored(submission: Submission, view: View, entity: str) -> dict[str, object]:
    redis, project = submission.sandbox.redis.client(), submission.project
    found = read_online(redis, project, submission.key_version, view, [entity])
    return dict(found.iloc[0].dropna())


def _lifetime(submission: Submission, view: View, entity: str) -> float:
    redis, project = submission.sandbox.redis.client(), submission.project
    return key_lifetime(redis, project, submission.key_version, view, entity)


def _online_views(submission: Submission) -> list[View]:
    """Return the known views, or else the first one that can be written."""
    registered = submission.registry.views.values()
    known = [view for known in KNOWN_VIEWS.values() if (view := own_view(submission, known))]
    views = known or [view for view in registered if view.online][:1]
    offline = [view.name for view in views if not (view.online and view.entities)]
    if offline or not views:
        named = ", ".join(offline) or "no feature view"
        raise SubmissionError(f"{named}: not both online and about an entity")
    return views


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
        message = _error(submission, output)
        return Outcome(False, f"exit status {status}", "exit status 0", f"error: {message}")
    printed = {line.split()[0] for line in output.splitlines() if line.split()}
    views = submission.registry.views.keys()
    missing = sorted(views - printed)
    return Outcome(
        bool(views) and not missing,
        f"{len(views) - len(missing)} views listed",
        "at least one view, and each of the registry",
        f"not listed: {', '.join(missing)}" if missing else "",
        "the list leaves out a StreamFeatureView; a FeatureView on a PushSource is listed",
    )
