"""Hints by the message or log of a submission's code, where a check has none of its own."""

import platform
import re
import sys

from checker.verdict.results import Result

STANDARD = "|".join(sorted(sys.stdlib_module_names))
# A pattern of an exception's message, the pitfall behind it; {0} stands for the first group.
PITFALLS = (
    (
        r"No module named '([\w.]+)'",
        "nothing is called {0}: the grader has the packages of docs/contract.md#how-it-is-run and "
        "of `lab grade --requirements`; a module of your own belongs into an exercise's folder",
    ),
    (
        rf"cannot import name '(\w+)' from '(?:{STANDARD})[.']|module '(?:{STANDARD})' has no attr",
        f"the grader runs Python {platform.python_version()}, whose library lacks it: it is newer",
    ),
    (
        r"'utf-8' codec can't decode|null bytes",
        "save the file as UTF-8, or declare its encoding in its first line",
    ),
    (
        r"name '(\w+)' is not defined",
        "{0} is used, but neither imported nor defined: docs/errata.md#missing-imports",
    ),
    (
        r"invalid literal for int\(\) with base 10: '(?:nonce|user|merchant|product)_",
        "ids are strings, such as user_7: declare the entity's value_type=ValueType.STRING",
    ),
    (
        r"No such file or directory: '(/[^']+/feature_store\.yaml)'",
        "{0} is the brief's folder; name yours relative to the script: "
        "docs/errata.md#paths-and-ports",
    ),
    (
        r"WRONGTYPE",
        "Feast keeps a hash for each entity, which GET cannot read: docs/errata.md#keys-and-get",
    ),
    (
        r"cannot import name 'TimeCharacteristic'",
        "Flink 2 knows event time only: docs/errata.md#an-import-that-is-gone",
    ),
    (
        r"do not contain an option key 'connector'",
        "write a view; a table defines where its rows go: docs/errata.md#a-table-without-a-place",
    ),
    (
        r"Unable to create a sink|any factory for identifier 'redis'",
        "Flink has no connector for Redis: docs/errata.md#no-redis-connector",
    ),
    (
        r"Fail to deserialize at field: event_time",
        "the times have a T; set json.timestamp-format.standard: docs/errata.md#times-with-a-t",
    ),
    (
        r"No operators defined in streaming topology",
        "execute_sql has submitted the job already: docs/errata.md#nothing-to-execute",
    ),
    (
        r"ended before \w+\(\) was defined",
        "an exception at import cuts off what stands below: leave nothing but definitions there, "
        'and what is to be run under `if __name__ == "__main__":`',
    ),
    (
        r"^error: (?:Attribute|Name|Syntax|Type|Indentation)Error",
        "`lab run 1` in the workspace prints the same error with its file and line",
    ),
)


def hint_for(result: Result) -> str:
    """The pitfall behind an exception; else, and where something was measured, the check's own."""
    if result.hint and result.measured:
        return result.hint
    for text in (result.message, result.log_tail):
        for pattern, pitfall in PITFALLS:
            if found := re.search(pattern, text):
                return pitfall.format(*found.groups())
    return result.hint
