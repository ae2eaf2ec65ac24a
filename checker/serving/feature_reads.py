"""Recognize commands that read stored features from Redis; not those of streaming views."""

import re
from dataclasses import dataclass

from checker.hidden.catalogue import KNOWN_VIEWS
from checker.serving.payments import VIEWS
from checker.serving.redis_monitor import Command
from checker.submission.submission import Submission
from feast_plugins.redis_encoding import entity_key, feature_field

SOME_FIELDS = ("HGET", "HMGET")
# Commands that name a key without reading its values. A script's own commands are logged as well.
NO_VALUES = re.compile(
    r"H(M?SET|SETNX|DEL|EXISTS|LEN|KEYS|STRLEN)|DEL|UNLINK|EXISTS|TYPE|TOUCH|P?TTL|PERSIST|"
    r"P?EXPIRE(AT|TIME)?|OBJECT|MEMORY|WATCH|(EVAL|EVALSHA|FCALL)(_RO)?"
)


@dataclass(frozen=True)
class StoredFeatures:
    """The place of users' and merchants' features in Redis: keys of entities, fields in them."""

    keys: frozenset[bytes]
    fields: frozenset[bytes]

    @classmethod
    def of(cls, submission: Submission) -> "StoredFeatures":
        """Return the places of a submission, by its registry and the hidden entities."""
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
        return {key for command in commands for key in self._read_by(command)}

    def _read_by(self, command: Command) -> set[bytes]:
        """The entities that a command names, unless it is known to read none of their values."""
        if command.database != 0 or NO_VALUES.fullmatch(command.name):
            return set()
        if command.name in SOME_FIELDS and self.fields.isdisjoint(command.arguments[1:]):
            return set()
        named = {argument.partition(b"->")[0] for argument in command.arguments}  # SORT … GET
        return {*command.arguments, *named} & self.keys
