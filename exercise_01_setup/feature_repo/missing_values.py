"""One rule for missing values, for training and for serving.

A batch view without a row of the entity has no history: every feature is NaN. For the streaming
view a missing row has two meanings. *Quiet*: the pipeline works, and the user made no payment in
the window; counts and sums are 0, means and maxima NaN. *Unknown*: the pipeline is behind or dead;
every feature is NaN. Zeros in place of unknown values look like a quiet, and so a safe, user.

Which of the two it is, the pipeline's *progress time* decides: the moment up to which its rows are
true, in milliseconds since 1970, under PROGRESS_KEY in Redis. A reader takes the view as unknown
without it, and when it is older than MAX_PROGRESS_AGE_S.
"""

from collections.abc import Iterable
from math import nan

STREAMING_VIEW = "user_streaming_features"
PROGRESS_KEY = f"{STREAMING_VIEW}:progress"
MAX_PROGRESS_AGE_S = 30
ZERO_WHEN_QUIET = ("transaction_count_", "total_amount_", "declined_count_")


def quiet_values(features: Iterable[str]) -> dict[str, float]:
    """Return the value of each streaming feature of a user without a payment in its window."""
    return {name: 0.0 if name.startswith(ZERO_WHEN_QUIET) else nan for name in features}
