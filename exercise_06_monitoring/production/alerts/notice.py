"""What a receiver is told."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self


class Severity(StrEnum):
    """In the brief's words; the order is that of urgency."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


@dataclass(frozen=True)
class Alert:
    """Something is wrong with a feature; one alert is open for each type and feature."""

    type: str
    feature: str
    message: str
    severity: Severity = Severity.WARNING

    @property
    def key(self) -> tuple[str, str]:
        return self.type, self.feature


@dataclass(frozen=True)
class Notice:
    """An alert, or the news that it is over; times are ISO 8601 in UTC."""

    alert: Alert
    since: str
    recovered: bool = False

    @property
    def title(self) -> str:
        state = "RECOVERED" if self.recovered else self.alert.severity.upper()
        return f"[{state}] {self.alert.type}: {self.alert.feature}"

    @property
    def text(self) -> str:
        since = f"since {datetime.fromisoformat(self.since):%Y-%m-%d %H:%M} UTC"
        if self.recovered:
            return f"It is over; it was wrong {since}. It said: {self.alert.message}"
        return f"{self.alert.message} ({since})"

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        fields = json.loads(text)
        alert = fields.pop("alert")
        return cls(Alert(**{**alert, "severity": Severity(alert["severity"])}), **fields)
