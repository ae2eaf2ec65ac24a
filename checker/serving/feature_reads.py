"""Which commands read stored features from Redis; those of streaming views do not count."""

from dataclasses import dataclass

from checker.hidden.catalogue import KNOWN_VIEWS
from checker.serving.payments import VIEWS
from checker.serving.redis_monitor import Command
from checker.submission.submission import Submission
from feast_plugins.redis_encoding import entity_key, feature_field

WHOLE_HASH = ("HGETALL", "HVALS", "HSCAN", "HRANDFIELD", "DUMP", "COPY")
SOME_FIELDS = ("HGET", "HMGET")


@dataclass(frozen=True)
class StoredFeatures:
    """Where Redis keeps the features of users and merchants: keys of entities, fields in them."""

    keys: frozenset[bytes]
    fields: frozenset[bytes]

    @classmethod
    def of(cls, submission: Submission) -> "StoredFeatures":
        """Those of a submission, by its registry and the hidden entities."""
        keys: set[bytes] = set()
        fields: set[bytes] = set()
        for name in VIEWS:
            view = submission.view(name, KNOWN_VIEWS[name].features[0])
            fields |= {feature_field(view.name, feature) for feature in view.features}
            layout = (submission.project, view.join_keys[0])
            entities = submission.hidden.entities(name)
            keys |= {entity_key(*layout, entity, submission.key_version) for entity in entities}
        return cls(frozenset(keys), frozenset(fields))

    def read_by(self, commands: list[Command]) -> set[bytes]:
        """The keys of the entities whose features `commands` read."""
        return {command.arguments[0] for command in commands if self._is_read_by(command)}

    def _is_read_by(self, command: Command) -> bool:
        if command.database != 0 or not command.arguments:
            return False
        key, *rest = command.arguments
        if command.name in SOME_FIELDS:
            return key in self.keys and not self.fields.isdisjoint(rest)
        return key in self.keys and command.name in WHOLE_HASH
