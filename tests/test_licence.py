"""The licence of this project and the notices of what comes from elsewhere."""

import re
import tomllib

from lab.settings import settings

ROOT = settings.root
NOTICE = (ROOT / "NOTICE").read_text()


def test_the_package_carries_both_files() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0"
    assert all((ROOT / name).is_file() for name in project["license-files"])


def test_a_notice_names_files_that_exist() -> None:
    paths = re.findall(
        r"^(?:\S+, )*?((?:data|docs|feast_plugins|tests)/\S+?),?(?: |$)", NOTICE, re.M
    )
    assert len(paths) >= 5
    assert [path for path in paths if not list(ROOT.glob(path))] == []


def test_every_bundled_data_folder_has_a_notice() -> None:
    folders = [readme.parent.name for readme in ROOT.glob("data/*/README.md")]
    assert folders
    assert all(f"data/{folder}/" in NOTICE for folder in folders)
