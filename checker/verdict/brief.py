"""The 35 success criteria of the brief: id, title in its words, and the criteria each one needs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class BriefCriterion:
    """One success criterion; it is graded only when those it needs have passed."""

    id: str
    title: str
    needs: tuple[str, ...] = ()

    @property
    def exercise(self) -> int:
        return int(self.id.split(".")[0])


EXERCISES = {
    1: "Set up the feature store",
    2: "Point-in-time training data",
    3: "Materialize to Redis",
    4: "Real-time serving API",
    5: "Streaming features",
    6: "Quality and drift",
}

CRITERIA = (
    BriefCriterion("1.1", "Feast applies without errors"),
    BriefCriterion("1.2", "Registry contains 3 entities", ("1.1",)),
    BriefCriterion("1.3", "Registry contains 5 feature views", ("1.1",)),
    BriefCriterion("1.4", "Registry contains 2 feature services", ("1.1",)),
    BriefCriterion("1.5", "Redis connection successful", ("1.1",)),
    BriefCriterion("1.6", "Can query feature metadata", ("1.1",)),
    BriefCriterion("2.1", "Training data generated without errors", ("1.1",)),
    BriefCriterion("2.2", "No NULL values in critical features", ("2.1",)),
    BriefCriterion("2.3", "Point-in-time validation passes", ("2.1",)),
    BriefCriterion("2.4", "Feature values match manual calculations", ("2.1",)),
    BriefCriterion("2.5", "Exported data splits created", ("2.1",)),
    BriefCriterion("2.6", "Demonstrated leakage with naive join", ("2.1",)),
    BriefCriterion("3.1", "Initial materialization completes", ("1.5",)),
    BriefCriterion("3.2", "Features queryable from Redis in under 10 ms", ("3.1",)),
    BriefCriterion("3.3", "Incremental updates only new data", ("3.1",)),
    BriefCriterion("3.4", "Online and offline features match", ("3.1",)),
    BriefCriterion("3.5", "Redis memory within limits", ("3.1",)),
    BriefCriterion("3.6", "Materialization in under 5 minutes", ("3.1",)),
    BriefCriterion("4.1", "API serves predictions", ("3.1",)),
    BriefCriterion("4.2", "P95 latency under 15 ms without inference", ("4.1",)),
    BriefCriterion("4.3", "Cache hit rate over 70% after warm-up", ("4.1",)),
    BriefCriterion("4.4", "Batch predictions work correctly", ("4.1",)),
    BriefCriterion("4.5", "Health check is accurate", ("4.1",)),
    BriefCriterion("4.6", "Load test with 1000 concurrent requests", ("4.1",)),
    BriefCriterion("5.1", "Flink job starts without errors"),
    BriefCriterion("5.2", "Events consumed from Kafka", ("5.1",)),
    BriefCriterion("5.3", "Features computed and written to Redis", ("5.2",)),
    BriefCriterion("5.4", "End-to-end latency under 10 seconds", ("5.3",)),
    BriefCriterion("5.5", "Features queryable via the serving API", ("4.1", "5.3")),
    BriefCriterion("5.6", "Late events handled correctly", ("5.3",)),
    BriefCriterion("6.1", "Drift detection identifies changes"),
    BriefCriterion("6.2", "Data quality checks detect issues"),
    BriefCriterion("6.3", "Alerts sent for anomalies", ("1.1",)),
    BriefCriterion("6.4", "Reports generated", ("1.1",)),
    BriefCriterion("6.5", "Monitoring runs on schedule", ("6.4",)),
)

BY_ID = {criterion.id: criterion for criterion in CRITERIA}


def with_needs(ids: set[str]) -> list[BriefCriterion]:
    """The criteria of `ids` and all that they need, in the order of the brief."""
    wanted = set(ids)
    for criterion in reversed(CRITERIA):
        if criterion.id in wanted:
            wanted.update(criterion.needs)
    return [criterion for criterion in CRITERIA if criterion.id in wanted]
