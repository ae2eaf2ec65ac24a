"""scripts/system-packages, as far as it changes nothing on this machine."""

import subprocess

from lab.settings import settings
from tests.lab.stack.conftest import Programs

SCRIPT = settings.root / "scripts" / "system-packages"


def system_packages(*commands: str) -> tuple[int, str]:
    """Return its exit status and all its output."""
    done = subprocess.run(
        ["/bin/sh", str(SCRIPT), *commands], capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


def test_what_is_there_is_left_alone_in_silence(programs: Programs) -> None:
    programs(redis_server="exit 1", java="exit 1", apt_get="exit 1")
    assert system_packages("redis-server", "java") == (0, "")


def test_an_ordinary_user_gets_the_one_command(programs: Programs) -> None:
    programs(java="exit 1", id="echo 1000", apt_get="exit 1")
    status, output = system_packages("redis-server", "java", "mvn")
    assert status == 1
    assert f"next: sudo {SCRIPT} redis-server mvn\n" in output


def test_homebrew_is_named_where_it_is_the_package_manager(programs: Programs) -> None:
    programs(brew="exit 1")
    status, output = system_packages("redis-server", "java")
    assert status == 1
    assert "next: brew install redis openjdk@17\n" in output


def test_a_command_of_no_known_package_is_refused(programs: Programs) -> None:
    programs(apt_get="exit 1")
    assert system_packages("emacs")[0] == 2
