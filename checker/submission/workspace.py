"""`lab new`: a learner's workspace, in which everything is still to be written."""

import re
import shutil
import tempfile
from pathlib import Path

from lab.errors import UserError
from lab.settings import ROOT

STARTER = ROOT / "lab" / "starter"
DOCUMENTS = ("contract.md", "errata.md")
LINK = re.compile(r"\[([^\]]+)\]\(([^)#\s:]+)(?:#[^)\s]*)?\)")


def make_workspace(folder: Path) -> None:
    """Write the starter files and the documents into `folder`, all of them or none.

    Raises UserError when there is something in it already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already, and not empty", "lab new ANOTHER_FOLDER")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".lab-new-") as beside:
        made = Path(beside, "workspace")
        shutil.copytree(STARTER, made, ignore=shutil.ignore_patterns("__pycache__"))
        (made / "docs").mkdir()
        for name in DOCUMENTS:
            text = (ROOT / "docs" / name).read_text()
            (made / "docs" / name).write_text(LINK.sub(_kept, text))
        made.rename(folder)


def _kept(link: re.Match[str]) -> str:
    """A link between the documents; of one to elsewhere in this repository only the text."""
    return link[0] if link[2] in DOCUMENTS else link[1]
