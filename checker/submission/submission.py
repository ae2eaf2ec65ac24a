"""A submission while it is graded: a scratch copy, its own services, and calls into it."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import pandas as pd
import yaml

from checker.hidden.hidden_data import HiddenData
from checker.sandbox import untrusted
from checker.sandbox.process import Child, encoded
from checker.sandbox.sandbox import Sandbox
from checker.settings import CheckerSettings
from checker.submission.copying import EXERCISE_FOLDER, copy_exercises
from checker.submission.names import OVERRIDES, read_names
from checker.submission.registry import Registry, View, read_registry
from checker.submission.scripts import script_that_defines, scripts
from checker.verdict.outcome import NotAttemptedError, SubmissionError
from lab.errors import UserError

Running = TypeVar("Running")

VARIABLE = re.compile(r"\$(?:(\w+)|\{([^}]*)\})", re.ASCII)


class Submission:
    """A solution in a scratch folder; checks use `call`, `feast` and `probe`."""

    def __init__(
        self, folder: Path, sandbox: Sandbox, hidden: HiddenData, config: CheckerSettings
    ) -> None:
        if not folder.is_dir():
            raise UserError(f"there is no folder {folder}", "lab check --submission DIR")
        self.folder = folder
        self.sandbox = sandbox
        self.hidden = hidden
        self.config = config
        self.names = read_names(folder)
        self.root = sandbox.directory / "submission"
        self.log = sandbox.directory / "submission.log"
        self._ahead = timedelta()
        self._running: dict[type, object] = {}
        self._children: dict[str, Child] = {}
        copy_exercises(folder, self.root, sandbox.redis.port)

    # ---- What is there ---------------------------------------------------------------------------

    def exercise(self, number: int) -> Path:
        """The folder of an exercise; NotAttemptedError when it is missing or empty."""
        for folder in sorted(self.root.iterdir()):
            match = EXERCISE_FOLDER.match(folder.name)
            if match and int(match[1]) == number and scripts(folder):
                return folder
        raise NotAttemptedError(f"no exercise_{number:02d}… folder with a script in it")

    @cached_property
    def repo(self) -> Path:
        """The folder that holds feature_store.yaml: the working directory of all that runs."""
        found = sorted(self.root.rglob("feature_store.yaml"))
        if not found:
            raise NotAttemptedError("no feature_store.yaml")
        return found[0].parent

    @cached_property
    def store_config(self) -> dict[str, Any]:
        """feature_store.yaml as Feast has it in the sandbox, with the Redis that is there."""
        file = self.repo / "feature_store.yaml"
        try:
            text = untrusted.content(file, self.root).decode()
            config = yaml.safe_load(_expanded(text, self.sandbox.environment(self._places())))
        except (yaml.YAMLError, ValueError, LookupError, AttributeError) as error:
            raise SubmissionError(f"feature_store.yaml is not valid YAML: {error}") from error
        if not isinstance(config, dict):
            raise SubmissionError("feature_store.yaml holds no settings")
        return config

    @property
    def project(self) -> str:
        return str(self.store_config.get("project", ""))

    @property
    def key_version(self) -> int:
        given = self.store_config.get("entity_key_serialization_version", 3)
        try:
            return int(given)
        except (TypeError, ValueError, OverflowError) as error:
            said = f"entity_key_serialization_version is {given!r:.60}, not a number"
            raise SubmissionError(said) from error

    @property
    def registry_path(self) -> Path:
        """Return the path that `feast apply` writes: a file, or a SQLite registry's database."""
        registry = self.store_config.get("registry", "data/registry.db")
        path = registry.get("path", "") if isinstance(registry, dict) else registry
        file = self.repo / re.sub(r"^sqlite(\+\w+)?:///", "", str(path))
        return untrusted.inside(file, self.root, f"the registry {path}")

    @cached_property
    def registry(self) -> Registry:
        """The registered objects; read once, after criterion 1.1 has applied them."""
        return read_registry(self.registry_path, self.root)

    def view(self, canonical: str, feature: str) -> View:
        """The registered view that holds one of the brief's features."""
        name, own_feature = self.names.feature(canonical, feature)
        view = self.registry.views.get(name)
        if view is None or own_feature not in view.features:
            raise SubmissionError(
                f"the registry has no {name}:{own_feature}",
                hint=f"name yours in {OVERRIDES}, under [features]",
            )
        return view

    def adopt_join_keys(self, join_keys: Iterable[str]) -> None:
        """Take `user` for the brief's `user_id`, and so on, where only that is registered."""
        self.names = self.names.with_join_keys(set(join_keys))

    # ---- Asking it -------------------------------------------------------------------------------

    def feast(self, *argv: str) -> tuple[int, str]:
        """Run Feast's command line; its exit status and what it printed."""
        log = self.sandbox.directory / "feast.log"
        log.unlink(missing_ok=True)
        child = self._child([self.repo], log)
        try:
            status = child.ask(self.config.call_timeout_s, do="feast", argv=list(argv))
        except SubmissionError as error:
            return 1, f"{untrusted.end_of(log)}\n{error.message}"
        finally:
            child.close()
        return (status if isinstance(status, int) else 1), untrusted.end_of(log)

    def call(self, number: int, default_file: str, function: str, *args: Any, **kwargs: Any) -> Any:
        """Call a function of an exercise, from the default file or from the one that defines it.

        Raises SubmissionError for anything but a table or plain data, NotAttemptedError when no
        file defines the function.
        """
        folder = self.exercise(number)
        file = script_that_defines(folder, default_file, function)
        child = self._loaded(folder, file)
        scratch = self.sandbox.directory
        return child.ask(
            self.config.call_timeout_s,
            do="call",
            ahead_s=self._ahead.total_seconds(),
            file=str(file),
            function=function,
            args=[encoded(value, scratch) for value in args],
            kwargs={name: encoded(value, scratch) for name, value in kwargs.items()},
        )

    @contextmanager
    def clock(self, ahead: timedelta) -> Iterator[None]:
        """Let the clock of the functions that `call` calls be ahead."""
        self._ahead = ahead
        try:
            yield
        finally:
            self._ahead = timedelta()

    def probe(self, function: str, *, exercise: int | None = None, **kwargs: Any) -> Any:
        """Run one of our probes in a process of its own: in the repository, or in an exercise."""
        with self.prober(exercise) as probe:
            return probe(function, **kwargs)

    @contextmanager
    def prober(
        self, exercise: int | None = None, env: Mapping[str, str] = MappingProxyType({})
    ) -> Iterator[Callable[..., Any]]:
        """Runs probes as `probe` does, but all in one process, which keeps what they made."""
        child, scratch = self._command_child(exercise, env), self.sandbox.directory

        def probe(function: str, **kwargs: Any) -> Any:
            keywords = {name: encoded(value, scratch) for name, value in kwargs.items()}
            return child.ask(
                self.config.call_timeout_s, do="probe", function=function, kwargs=keywords
            )

        try:
            yield probe
        finally:
            child.close()

    def run(
        self,
        command: str,
        exercise: int | None = None,
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Run a command of the submission in `cwd`: an exercise's folder, or else the repository.

        Raises SubmissionError when it fails.
        """
        child = self._command_child(exercise, env, cwd)
        try:
            status = child.ask(self.config.call_timeout_s, do="run", command=command)
        finally:
            child.close()
        if status:
            said = child.log_tail()
            raise SubmissionError(f"`{command}` ended with status {status}", log_tail=said)

    def start(self, command: str, exercise: int, *, do: str = "run", **env: str) -> Child:
        """Start a command in an exercise's folder; it runs until the child is closed.

        It is `run` in the child's process where it can be, or always in one of its own: `spawn`.
        """
        child = self._command_child(exercise, env)
        child.tell(do=do, command=command)
        return child

    def running(self, kind: type[Running]) -> Running | None:
        """Return what a check has started and remembered, such as its API."""
        found = self._running.get(kind)
        return found if isinstance(found, kind) else None

    def remember(self, started: Running) -> Running:
        """Remember what was started, for the checks that follow."""
        self._running[type(started)] = started
        return started

    def outputs(self, folders: Sequence[Path], name: str, newer_than: float) -> pd.DataFrame | None:
        """A Parquet or CSV file `data/NAME`, written after `newer_than` (seconds since 1970)."""
        for folder in folders:
            for file in (folder / "data" / f"{name}{end}" for end in (".parquet", ".csv")):
                if file.is_file() and file.stat().st_mtime >= newer_than:
                    return untrusted.table(file, self.root)
        return None

    # ---- Behind it -------------------------------------------------------------------------------

    def _loaded(self, folder: Path, file: Path) -> Child:
        child = self._children.get(str(file))
        if child is None or child.closed:
            child = self._child([folder, self.repo, self.root], self.log)
            child.ask(self.config.import_timeout_s, do="load", file=str(file))
            self._children[str(file)] = child
        return child

    def _command_child(
        self, exercise: int | None, env: Mapping[str, str], cwd: Path | None = None
    ) -> Child:
        if exercise is None:
            return self._child([self.repo], self.log, cwd=cwd, env=env)
        folder = self.exercise(exercise)
        # A registry in SQLite is relative to where one runs.
        if not os.path.lexists(folder / "data"):
            (folder / "data").symlink_to(self.repo / "data")
        ours = {"LAB_MODEL_DIR": str(folder / "models")}
        path = [folder, self.repo, self.root]
        return self._child(path, self.log, cwd=cwd or folder, env={**ours, **env})

    def _child(
        self,
        path: Sequence[Path],
        log: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> Child:
        importable = os.pathsep.join(str(folder) for folder in path)  # for what it starts
        return self.sandbox.child(
            cwd=cwd or self.repo,
            path=path,
            env={**self._places(), "PYTHONPATH": importable, **env},
            log=log,
            memory_bytes=int(self.config.memory_limit_gib * 2**30),
        )

    def _places(self) -> dict[str, str]:
        """Return the paths that the grader prepared for its code."""
        return {"LAB_DATA_DIR": str(self.repo / "data"), "LAB_FEATURE_REPO": str(self.repo)}


def _expanded(text: str, environment: Mapping[str, str]) -> str:
    """As os.path.expandvars does it, which would take the grader's own environment."""
    return VARIABLE.sub(lambda found: environment.get(found[1] or found[2], found[0]), text)
