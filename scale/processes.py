"""The settings of a cluster's processes, and their loss."""

from pathlib import Path

from lab.settings import Settings, settings
from lab.stack.ports import free_port
from lab.stack.service import Service


def own_settings(folder: Path, *ports: str, **changes: object) -> Settings:
    """Return the settings of a process with a folder of its own, and free ports."""
    own = {name: free_port() for name in ports}
    return settings.model_copy(update={"stack_dir": folder, **own, **changes})


def kill(service: Service) -> None:
    """Kill a process and its children, as the loss of a machine does."""
    if process := service.pid_file.process():
        for victim in [*process.children(recursive=True), process]:
            victim.kill()
