"""The checker's public interface: all that the checks.py of an exercise may import.

It holds nothing of its own. Each name is defined, and documented, in the module that it comes from.
"""

from checker.hidden.catalogue import CREATED, EVENT_TIME, KNOWN_VIEWS, KnownView
from checker.hidden.exported_splits import SPLITS, split_problems
from checker.hidden.hidden_data import HiddenData, numbered, plant
from checker.monitoring.alerts import MONITORED, alarms, monitored_features
from checker.monitoring.pairs import Pair, pairs, with_nulls
from checker.monitoring.quality import (
    damaged_schemas,
    mistakes,
    planted_table,
    quality_results,
    reports_schema,
)
from checker.monitoring.receivers import Receivers, receivers
from checker.monitoring.schedule import scheduled_jobs
from checker.monitoring.scheduled_report import run_for_a_report
from checker.monitoring.severity import Row, wrong_severities
from checker.monitoring.windows import features_of, larger, place_windows, planted, smaller
from checker.run.gauge import rounds_when_quiet
from checker.run.rounds import alone, best_of_rounds
from checker.sandbox.untrusted import plain
from checker.serving.api_client import (
    BATCH,
    PREDICT,
    STATS_TOLERANCE,
    is_prediction,
    lasting_keys,
    post_in_turn,
    right_answers,
    right_rows,
    seconds_until,
    watched,
    wrong_values,
)
from checker.serving.bare_server import bare_server
from checker.serving.http_probe import Answer, Body, at_once, at_rate
from checker.serving.live_values import LIVE, server_with_live_values
from checker.serving.odd_requests import accepted_batches, accepted_mistakes, unknown_mistakes
from checker.serving.payments import (
    COLD_SHARE,
    NEW,
    NEW_ENTITIES,
    PAIR,
    PROBABILITY,
    VERDICT,
    add_new_entities,
    answered,
    bodies,
    bodies_of,
    crossed_payments,
    expected_features,
    hot_payments,
    payments,
    payments_of_unasked,
    skewed_payments,
)
from checker.serving.scoring import score_mistakes, unstable
from checker.serving.server import Server, port_hint, running_server, start_command
from checker.serving.serving_model import provide_model, stub_model
from checker.streaming.events import (
    COUNTS,
    FEATURES,
    HOUR,
    Event,
    drawn,
    few,
    later,
    nonces,
    recount,
)
from checker.streaming.freshness import EVERY_S, bare_round_trip, event_to_value
from checker.streaming.settling import Settled, settled, settled_twins
from checker.streaming.stream import SOME_USERS, Stream, running_stream
from checker.streaming.topic import PARTITIONS, TOPIC
from checker.submission.added import Aged, lost_others_keys, put_others_keys, rows_of_ages
from checker.submission.declarations import own_tables, view_problem
from checker.submission.midnight import at_midnight, place_payments_at_midnight
from checker.submission.online import delete_entities, key_lifetime, raised_by_one, read_online
from checker.submission.placing import (
    own_view,
    place_feature_tables,
    place_raw_tables,
    source_path,
)
from checker.submission.registry import Registry, View
from checker.submission.scripts import script_that_defines, scripts
from checker.submission.stored import Stored, online, place_of, stored, stored_view
from checker.submission.submission import Submission
from checker.verdict.criterion import criterion
from checker.verdict.equality import as_utc, differences, equal_rows, equal_values, or_constant
from checker.verdict.outcome import CounterExample, NotAttemptedError, Outcome, SubmissionError
