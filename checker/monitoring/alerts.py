"""Separate alarms from summaries among the messages of a run, by the features that they name."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from checker.monitoring.windows import features_of
from checker.submission.submission import Submission
from checker.verdict.outcome import SubmissionError

# A run monitors at least these. A message that names all of them is a summary, such as a digest.
MONITORED = (
    "transaction_count_7d",
    "transaction_count_30d",
    "avg_transaction_amount",
    "chargeback_rate",
)


@dataclass(frozen=True)
class Alarm:
    """A message that names some features, by the brief's names."""

    text: str
    features: frozenset[str]


def monitored_features(submission: Submission) -> dict[str, str]:
    """Return the submission's own name of each feature; SubmissionError if one is missing."""
    names = features_of(submission)
    if missing := [feature for feature in MONITORED if feature not in names]:
        raise SubmissionError(
            f"the registry has no {', '.join(missing)}, which a run monitors",
            hint="name yours in submission.toml, under [features]",
        )
    return names


def named_in(text: str, names: Mapping[str, str]) -> frozenset[str]:
    """Return the features in a text, with or without the name of their view."""
    return frozenset(
        feature for feature, own in names.items() if re.search(rf"(\b|__){re.escape(own)}\b", text)
    )


def alarms(texts: Iterable[str], names: Mapping[str, str]) -> list[Alarm]:
    """Return the messages that name a feature, without summaries."""
    found = (Alarm(text, named_in(text, names)) for text in texts)
    return [alarm for alarm in found if alarm.features and not alarm.features >= set(MONITORED)]
