"""Runs submissions' code, in a process of its own that answers requests, a line of JSON each.

It knows nothing of the criteria; its answers are data, never a verdict.
"""

import json
import os
import runpy
import shlex
import signal
import socket
import subprocess
import sys
import time
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from checker.sandbox.clock import clock_ahead
from checker.sandbox.limits import allow_open_files, limit_this_process

PROBES = Path(__file__).with_name("probes.py")
ENDED_BY = "__ended_by__"
EDITABLE_INSTALL = "_EditableFinder"
SHELL_SIGNS = frozenset("&|;<>$`*?~(\n")

Message = dict[str, Any]


def serve(connection: socket.socket) -> None:
    """Answer one connection: a line of JSON with the folder to use, then one line per request."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    lines = connection.makefile("rw", encoding="utf-8")
    os.setsid()
    start: Message = json.loads(lines.readline())
    settle(start)
    answer(lines, {"pid": os.getpid()})
    namespaces: dict[str, types.ModuleType] = {}
    for line in lines:
        request = json.loads(line)
        try:
            reply = {"ok": True, **OPERATIONS[request["do"]](request, namespaces)}
        except BaseException as error:  # noqa: BLE001 - whatever their code raises is their answer
            traceback.print_exc()
            reply = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        flush_output()
        answer(lines, reply)


def settle(start: Message) -> None:
    """Take on the working directory, environment, limits and log file of the submission."""
    os.chdir(start["cwd"])
    os.environ.clear()
    os.environ.update(start["env"])
    time.tzset()
    log = os.open(start["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.path[:0] = start["path"]
    # Without this a missing module of a submission would be found in the reference solution.
    sys.meta_path[:] = [f for f in sys.meta_path if getattr(f, "__name__", "") != EDITABLE_INSTALL]
    limit_this_process(start["memory_bytes"], start["disk_bytes"])
    allow_open_files()


def answer(lines: IO[str], reply: Message) -> None:
    lines.write(json.dumps(reply) + "\n")
    lines.flush()


def flush_output() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def load(request: Message, namespaces: dict[str, types.ModuleType]) -> Message:
    """Run a file once; names that it defined before an exception count."""
    file = Path(request["file"])
    module = types.ModuleType(file.stem)
    module.__file__ = str(file)
    namespaces[str(file)] = sys.modules[file.stem] = module
    try:
        exec(compile(file.read_text(), str(file), "exec"), vars(module))
    except BaseException as error:  # noqa: BLE001 - the rest of the file may not matter
        traceback.print_exc()
        module.__dict__[ENDED_BY] = raised = f"{type(error).__name__}: {error}"
        return {"raised": raised}
    return {"raised": None}


def call(request: Message, namespaces: dict[str, types.ModuleType]) -> Message:
    """Call a function of a loaded file, unless the file ended above its definition."""
    module, name = namespaces[request["file"]], request["function"]
    if ENDED_BY in vars(module) and name not in vars(module):
        file, raised = Path(request["file"]).name, vars(module)[ENDED_BY]
        return {"ok": False, "error": f"{file} ended before {name}() was defined, with {raised}"}
    function = getattr(module, name)
    arguments = [decode(value) for value in request["args"]]
    keywords = {name: decode(value) for name, value in request["kwargs"].items()}
    with clock_ahead(request.get("ahead_s", 0)):
        value = function(*arguments, **keywords)
    return {"value": encode(value, request["out"])}


def probe(request: Message, namespaces: dict[str, types.ModuleType]) -> Message:
    """Call one of our own functions in the process of the submission's code.

    It is of a module made for this process: what their code puts in place of the one that is to be
    imported changes nothing.
    """
    if PROBES.name not in namespaces:
        namespaces[PROBES.name] = module = types.ModuleType(PROBES.stem)
        exec(compile(PROBES.read_text(), str(PROBES), "exec"), vars(module))
    function = getattr(namespaces[PROBES.name], request["function"])
    keywords = {name: decode(value) for name, value in request["kwargs"].items()}
    return {"value": encode(function(**keywords), request["out"])}


def feast(request: Message, _: dict[str, types.ModuleType]) -> Message:
    """Run Feast's command line; its exit status is the value."""
    from feast.cli.cli import cli

    sys.argv = ["feast", *request["argv"]]
    return {"value": {"json": exit_status(cli)}}


def run(request: Message, _: dict[str, types.ModuleType]) -> Message:
    """Run a command until it ends; its exit status is the value.

    What `python` would run runs in this process, which need not import Feast again.
    """
    command: str = request["command"]
    words = shlex.split(command)
    if words[0] != "python" or SHELL_SIGNS & set(command):
        return {"value": {"json": subprocess.run(command, shell=True, check=False).returncode}}
    if words[1] == "-m":
        sys.argv = words[2:]
        status = exit_status(lambda: runpy.run_module(words[2], None, "__main__", alter_sys=True))
    else:
        sys.argv = words[1:]
        sys.path.insert(0, str(Path(words[1]).resolve().parent))
        status = exit_status(lambda: runpy.run_path(words[1], run_name="__main__"))
    return {"value": {"json": status}}


def spawn(request: Message, _: dict[str, types.ModuleType]) -> Message:
    """Run a command in a process of its own, as a terminal would; its exit status is the value.

    A JVM ends with the program that started it, and with this process it would live on.
    """
    done = subprocess.run(request["command"], shell=True, check=False)
    return {"value": {"json": done.returncode}}


def exit_status(program: Callable[[], object]) -> int:
    """The status with which a program ends its process; any exception but SystemExit passes."""
    try:
        program()
    except SystemExit as stop:
        return 1 if isinstance(stop.code, str) else int(stop.code or 0)
    return 0


OPERATIONS = {
    "load": load,
    "call": call,
    "probe": probe,
    "feast": feast,
    "run": run,
    "spawn": spawn,
}


def decode(value: Message) -> Any:
    """A value of a request: a table or a series by its path, a moment, or plain JSON."""
    import pandas as pd

    if "series" in value:
        return pd.read_parquet(value["series"]).iloc[:, 0]
    if "table" in value:
        return pd.read_parquet(value["table"])
    if "moment" in value:
        return pd.Timestamp(value["moment"]).to_pydatetime()
    return value["json"]


def encode(value: Any, out: str) -> Message:
    """A result as data: a table as Parquet, the rest as JSON, and what fits neither by its type.

    A table of which a column mixes types, as a column of measurements may, goes as records.
    """
    import pandas as pd
    import pyarrow as pa

    if isinstance(value, pd.Series):
        value = value.to_frame()
    if isinstance(value, pd.DataFrame):
        try:
            value.reset_index(drop=True).to_parquet(out)
            return {"table": out}
        except pa.ArrowException:
            value = value.to_dict("records")
    try:
        return {"json": json.loads(json.dumps(value, default=as_builtin))}
    except (TypeError, ValueError):
        return {"type": type(value).__name__}


def as_builtin(value: Any) -> Any:
    """numpy's numbers and arrays, dates and paths in JSON's own types."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(type(value).__name__)
