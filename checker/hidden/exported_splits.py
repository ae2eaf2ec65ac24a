"""Compares exported splits with the table that they were made from.

The amount identifies a row. The labels of that table are coin tosses: a column that separates them
was made from them. Features may be transformed, each by itself.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from checker.hidden.catalogue import EVENT_TIME
from checker.verdict.equality import as_utc, equal_values

SPLITS = {"train": 0.70, "val": 0.15, "test": 0.15}
AMOUNT, LABEL, IDS = "transaction_amount", "is_fraud", ("user_id", "merchant_id")
SHARE_TOLERANCE = 0.02
OLDER = 1 / 3  # of the pairs with a row of train, in which the other row is the newer one
CHANCE_SD = 6
LEAST_GROUPS = 20
LEAST_IDS = 10
LEAST_RANK_CORRELATION = 0.8
SAME_ORDER = 0.99
ROUNDING = 1e-4

Flags = npt.NDArray[np.bool_]


def split_problems(
    frame: pd.DataFrame, files: dict[str, pd.DataFrame], features: Sequence[str]
) -> list[str]:
    """Return what is wrong with the six files; `features` are those that X needs."""
    problem = next(filter(None, _odd_files(frame, files, features)), "")
    if problem:
        return [problem]
    table = frame.assign(**{EVENT_TIME: as_utc(frame[EVENT_TIME])}).set_index(AMOUNT)
    rows = {split: table.loc[_amounts(files[f"X_{split}"])] for split in SPLITS}
    inputs = {split: files[f"X_{split}"].drop(columns=AMOUNT) for split in SPLITS}
    exported, every = pd.concat(rows.values()), pd.concat(inputs.values(), ignore_index=True)
    pairs = [(exported, every), *((rows[split], inputs[split]) for split in SPLITS)]
    labelled = sorted({name for pair in pairs for name in _made_from_labels(*pair)})
    return [
        *_row_problems(frame, exported, files.get("excluded")),
        *_share_problems(rows),
        *(_label_problem(rows[split], files[f"y_{split}"]) for split in SPLITS),
        *(_feature_problem(rows[split], files[f"X_{split}"], split, features) for split in SPLITS),
        *(f"X holds the label, as {name}" for name in labelled),
        *_giveaways(exported.reset_index(), every),
    ]


def _odd_files(
    frame: pd.DataFrame, files: dict[str, pd.DataFrame], features: Sequence[str]
) -> Iterator[str]:
    for split in SPLITS:
        inputs, labels = files[f"X_{split}"], files[f"y_{split}"]
        if AMOUNT not in inputs:
            yield f"X_{split} has no {AMOUNT}, which is a feature of the model"
            return
        is_known = _amounts(inputs).isin(frame[AMOUNT])
        if not is_known.all():
            how = "is scaled or changed" if is_known.mean() < 0.5 else "is of no row of the table"
            yield f"{AMOUNT} {how} in {(~is_known).sum()} rows of X_{split}: it identifies a row"
        missing = [name for name in features if name not in inputs]
        yield f"X_{split} has no {', '.join(missing)}" if missing else ""
        yield f"y_{split} has no column" if labels.columns.empty else ""
        if len(labels) != len(inputs):
            yield f"X_{split} has {len(inputs)} rows, and y_{split} {len(labels)}"


def _amounts(table: pd.DataFrame) -> pd.Series:
    return pd.to_numeric(table[AMOUNT], errors="coerce").astype("float64")


def _row_problems(
    frame: pd.DataFrame, exported: pd.DataFrame, aside: pd.DataFrame | None
) -> Iterator[str]:
    twice = exported.index.duplicated().sum()
    yield f"{twice} rows are exported twice" if twice else ""
    left_out = _amounts(aside) if aside is not None and AMOUNT in aside else []
    absent = set(frame[AMOUNT]) - set(exported.index) - set(left_out)
    yield f"{len(absent)} rows are in no file" if absent else ""
    yield "fewer than half of the rows are exported" if len(exported) < len(frame) / 2 else ""


def _share_problems(rows: dict[str, pd.DataFrame]) -> Iterator[str]:
    tolerance = SHARE_TOLERANCE + 3 * _spread(rows)
    total = max(sum(map(len, rows.values())), 1)
    shares = {split: len(part) / total for split, part in rows.items()}
    uneven = [split for split, share in SPLITS.items() if abs(shares[split] - share) > tolerance]
    yield f"{', '.join(uneven)} is not 70/15/15" if uneven else ""
    for split in ("val", "test"):
        later = pd.concat([rows["train"], rows[split]])[EVENT_TIME]
        is_split = np.arange(len(later)) >= len(rows["train"])
        if _share_above(later, is_split) < OLDER:
            yield f"{split} is older than train"


def _spread(rows: dict[str, pd.DataFrame]) -> float:
    """Return the standard deviation of a share, if whole users or merchants were drawn; else 0."""
    every = pd.concat({split: part[list(IDS)] for split, part in rows.items()}, names=["split"])
    for key in IDS:
        splits = every.reset_index("split").groupby(key)["split"].nunique()
        if (splits == 1).all():
            owned = every[key].value_counts(normalize=True)
            return float(np.sqrt((owned**2).sum() * 0.7 * 0.3))
    return 0.0


def _share_above(values: pd.Series, is_one: Flags) -> float:
    """Return the share of pairs in which the value of the one is above that of the other (AUC)."""
    ones, others = is_one.sum(), (~is_one).sum()
    if not ones or not others:
        return 0.5
    ranks = values.rank().to_numpy()[is_one].sum()
    return float((ranks - ones * (ones + 1) / 2) / (ones * others))


def _label_problem(rows: pd.DataFrame, labels: pd.DataFrame) -> str:
    is_right = equal_values(rows[LABEL], labels.iloc[:, -1]).all()
    return "" if is_right else "the labels of y are not those of the rows of X"


def _feature_problem(
    rows: pd.DataFrame, inputs: pd.DataFrame, split: str, features: Sequence[str]
) -> str:
    wrong = [name for name in features if not _is_made_of(rows[name], inputs[name])]
    return f"X_{split} has {', '.join(wrong)} that its rows have not" if wrong else ""


def _is_made_of(expected: pd.Series, given: pd.Series) -> bool:
    """Return whether a column equals another, or is a transformation of its single values."""
    if equal_values(expected, given).all():
        return True
    expected, given = expected.reset_index(drop=True), pd.to_numeric(given, errors="coerce")
    given = given.astype("float64").reset_index(drop=True)
    if not np.isfinite(given).all() or given.nunique() < 2:
        return False
    by_value = given.groupby(expected)
    is_function = (by_value.max() - by_value.min()).max() <= ROUNDING * np.ptp(given)
    return bool(is_function and abs(expected.rank().corr(given.rank())) > LEAST_RANK_CORRELATION)


def _giveaways(rows: pd.DataFrame, inputs: pd.DataFrame) -> Iterator[str]:
    """Yield ids and times among the columns of X, whatever their form."""
    for name, ranks in _ranks(inputs):
        for key in IDS:
            if _identifies(rows[key], ranks):
                yield f"X holds {key}, as {name}"
        in_order = abs(ranks.corr(rows[EVENT_TIME].rank())) > SAME_ORDER
        if inputs[name].dtype.kind == "M" or in_order:
            yield f"X holds the time, as {name}"


def _made_from_labels(rows: pd.DataFrame, inputs: pd.DataFrame) -> list[str]:
    label = rows[LABEL].astype(bool).to_numpy()
    return [name for name, ranks in _ranks(inputs) if _separates(ranks, label)]


def _ranks(inputs: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    """Yield the columns that vary as numbers in the order of their values; a null comes first."""
    for name in inputs.columns[inputs.nunique(dropna=False) > 1]:
        values = inputs[name]
        is_text = values.dtype.kind not in "biufM"
        yield name, (values.astype("string") if is_text else values).rank().fillna(0)


def _separates(values: pd.Series, label: Flags) -> bool:
    """Return whether values order the labels, or each repeated value has labels of one kind."""
    ones, others = label.sum(), (~label).sum()
    if not ones or not others:
        return False
    chance = np.sqrt((len(label) + 1) / (12 * ones * others))
    if abs(_share_above(values, label) - 0.5) > CHANCE_SD * chance:
        return True
    groups = pd.Series(label).groupby(values.to_numpy())
    repeated = groups.nunique()[groups.size() > 1]
    return len(repeated) >= LEAST_GROUPS and (repeated == 1).mean() > 0.9


def _identifies(ids: pd.Series, values: pd.Series) -> bool:
    """Return whether a column is an encoding of ids, or marks one of them (one-hot)."""
    pairs = pd.DataFrame({"id": ids, "value": values})
    pairs = pairs[pairs["id"].duplicated(keep=False)]
    distinct = pairs.drop_duplicates()
    if distinct["id"].duplicated().any() or len(distinct) < LEAST_IDS:
        return False
    owners = distinct["value"].value_counts()
    return bool((owners == 1).mean() >= 0.5)
