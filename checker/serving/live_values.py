"""Values that only Redis has: an answer with them did not come from a file, or from the start."""

from datetime import timedelta
from uuid import uuid4

import pandas as pd

from checker.hidden.catalogue import CREATED, EVENT_TIME, KNOWN_VIEWS
from checker.serving.payments import NEW, PAIR, VIEWS, with_request_features
from checker.serving.server import Server, running_server
from checker.submission.placing import own_columns
from checker.submission.submission import Submission

LIVE = 5  # payments of each kind


def server_with_live_values(
    submission: Submission, unseen: pd.DataFrame
) -> tuple[Server, pd.DataFrame]:
    """Start the API; return it with payments of users and merchants whose values only Redis has.

    `unseen` have others in their files since before the start. Those of a second group are in
    Redis alone and change once the API runs; a third is added then. No user or merchant was
    queried before.
    """
    overwritten = changed(unseen)
    early = with_new_ids(changed(overwritten))
    write_to_redis(submission, pd.concat([overwritten, early]))
    server = running_server(submission)
    late = changed(early)
    added = with_new_ids(changed(late))
    write_to_redis(submission, pd.concat([late, added]))
    return server, pd.concat([overwritten, late, added], ignore_index=True)


def changed(sent: pd.DataFrame) -> pd.DataFrame:
    """Return the same payments with other stored values."""
    stored = [name for view in VIEWS for name in KNOWN_VIEWS[view].features]
    return with_request_features(sent.assign(**{name: _others(sent[name]) for name in stored}))


def _others(values: pd.Series) -> pd.Series:
    if pd.api.types.is_integer_dtype(values):
        return values + 3
    return values.astype("float64") * 0.75 + 0.01


def with_new_ids(sent: pd.DataFrame) -> pd.DataFrame:
    """Return the same payments by users and merchants that are nowhere yet."""
    return sent.assign(**{k: [f"{NEW}{k}_{uuid4().hex}" for _ in sent.index] for k in PAIR})


def write_to_redis(submission: Submission, sent: pd.DataFrame) -> None:
    """Write the stored features of payments to the online store, by Feast in the sandbox."""
    now = pd.Timestamp.now("UTC").as_unit("us")
    rows = sent.assign(**{EVENT_TIME: now, CREATED: now + timedelta(seconds=1)})
    with submission.prober() as probe:
        for name in VIEWS:
            known = KNOWN_VIEWS[name]
            view = submission.view(name, known.features[0])
            table = own_columns(submission, known, [view], rows.reset_index(drop=True))
            probe("write_online", view=view.name, rows=table)
