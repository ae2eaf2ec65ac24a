"""The end of a submission's log: what it printed in this criterion, without requests."""

from pathlib import Path

from checker.sandbox.process import log_size, log_tail

ACCESS = (
    'INFO:     127.0.0.1:50432 - "POST /predict HTTP/1.1" 200 OK\n'
    '127.0.0.1 - - [30/Nov/2026 12:00:00] "GET /health HTTP/1.1" 200 -\n'
)


def test_earlier_lines_and_access_lines_are_left_out(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert (log_size(log), log_tail(log)) == (0, "")
    log.write_text("Traceback of an earlier criterion\n")
    before = log_size(log)
    log.write_text(log.read_text() + ACCESS + "KeyError: 'user_id'\n" + ACCESS * 20)
    assert log_tail(log, before) == "KeyError: 'user_id'"
    assert log_tail(log).startswith("Traceback")
