"""Become a service: write the service's pid file, then execute its program under that pid.

The service itself writes the file, so there is no moment at which killing the tool could leave a
service without a pid file. Run as a script, by `lab.stack.process`.
"""

import json
import os
import sys
from pathlib import Path

import psutil


def main() -> None:
    """Run the program. Arguments: the pid file, the port of the service, the command."""
    record, port, *command = sys.argv[1:]
    os.setsid()
    os.chdir(Path(record).parent)
    started = psutil.Process().create_time() - psutil.boot_time()
    temp_path = Path(f"{record}.new")
    temp_path.write_text(json.dumps({"pid": os.getpid(), "started": started, "port": int(port)}))
    temp_path.replace(record)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
