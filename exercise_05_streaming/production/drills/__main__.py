"""Run all drills, or some: `python -m exercise_05_streaming.production.drills [job …]`."""

import sys
import time
from importlib import import_module
from pkgutil import iter_modules

from exercise_05_streaming.production import drills
from exercise_05_streaming.production.drills.scene import new_scene
from lab.errors import UserError, run_script

NOT_DRILLS = {"__main__", "scene"}


def names() -> list[str]:
    """What can be killed."""
    return [m.name for m in iter_modules(drills.__path__) if m.name not in NOT_DRILLS]


def run(name: str) -> None:
    """One drill on services of its own. Raises UserError when not all is as a recount says."""
    if name not in names():
        raise UserError(f"there is no drill called {name}", f"choose from: {', '.join(names())}")
    begun = time.monotonic()
    with new_scene() as scene:
        import_module(f"{drills.__name__}.{name}").drill(scene)
    print(f"{name}: killed, and exact after {time.monotonic() - begun:.0f} s", flush=True)


def main() -> None:
    for name in sys.argv[1:] or names():
        run(name)


if __name__ == "__main__":
    run_script(main)
