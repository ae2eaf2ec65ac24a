"""Starts a submission's API in its sandbox, and ends it."""

import time

from checker.sandbox.process import Child
from checker.serving.http_probe import Answer, Body, ask
from checker.submission.scripts import scripts
from checker.submission.submission import Submission
from checker.verdict.outcome import NotAttemptedError, SubmissionError
from lab.settings import LOOPBACK

EXERCISE = 4
DEFAULT_START = "python -m uvicorn app.main:app --port {port}"
HEALTHY = ("healthy", "ok", "up")
POLL_S = 0.1
HINT = (
    "it runs in the exercise's folder; the feature store is at $LAB_FEATURE_REPO, Redis at "
    "$LAB_REDIS_PORT: docs/errata.md#paths-and-ports"
)


class Server:
    """An API that runs until it is closed, or until the sandbox closes its children."""

    def __init__(self, child: Child, port: int, patience_s: float) -> None:
        self.child = child
        self.url = f"http://{LOOPBACK}:{port}"
        self._patience_s = patience_s

    def get(self, path: str) -> Answer:
        return ask(self.url + path, None, self._patience_s)

    def post(self, path: str, body: Body) -> Answer:
        return ask(self.url + path, body, self._patience_s)

    def is_healthy(self) -> bool:
        """Return whether /health reports it healthy."""
        return says_healthy(self.get("/health"))


def says_healthy(health: Answer) -> bool:
    """Return whether a response of /health is a 200 whose status, if it has one, is good."""
    status = health.body.get("status", HEALTHY[0]) if health.is_object else ""
    return str(status).lower() in HEALTHY


def running_server(submission: Submission) -> Server:
    """The submission's API: the one that runs and is healthy, or else one started now.

    Raises NotAttemptedError when there is none to start, SubmissionError when it does not answer.
    """
    running = submission.running(Server)
    if running is not None and not running.child.has_ended and running.is_healthy():
        return running
    end_server(submission)
    return submission.remember(_started(submission))


def end_server(submission: Submission) -> None:
    """End the submission's API, if one runs."""
    running = submission.running(Server)
    if running is not None:
        running.child.close()


def _started(submission: Submission) -> Server:
    """The API on a free port, once /health answers 200."""
    command = start_command(submission)
    port = submission.sandbox.port(submission.config.api_port)
    child = submission.start(command.replace("{port}", str(port)), EXERCISE, LAB_API_PORT=str(port))
    server = Server(child, port, submission.config.serving_patience_s)
    deadline = time.monotonic() + submission.config.serving_start_s
    while server.get("/health").status != 200:
        if child.has_ended or time.monotonic() > deadline:
            fate = "ended" if child.has_ended else "gave no 200 at /health in time"
            child.close()
            raise SubmissionError(
                f"`{command}` {fate}", port_hint(submission) or HINT, child.log_tail()
            )
        time.sleep(POLL_S)
    return server


def port_hint(submission: Submission) -> str:
    """A hint for code that has Redis's usual port only; empty for all other."""
    texts = {
        f.name: f.read_text("utf-8", "replace") for f in scripts(submission.exercise(EXERCISE))
    }
    if any("LAB_REDIS_PORT" in text for text in texts.values()):
        return ""
    named = [name for name, text in texts.items() if "6379" in text]
    return f"{named[0]} names port 6379; the grader's Redis is at $LAB_REDIS_PORT" if named else ""


def start_command(submission: Submission) -> str:
    """Return the command that starts its API; NotAttemptedError when there is none yet."""
    folder = submission.exercise(EXERCISE)
    if submission.names.start:
        return submission.names.start
    if not (folder / "app" / "main.py").is_file():
        raise NotAttemptedError(f"no app/main.py in {folder.name}, and no [serving] start")
    return DEFAULT_START
