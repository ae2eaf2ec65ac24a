"""Limits of a single process."""

import resource

OPEN_FILES = 8_192


def allow_open_files() -> None:
    """Raise this process's limit, and so its children's: a usual one is 1,024 or less."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def limit_this_process(memory_bytes: int, file_bytes: int) -> None:
    """Limit its address space and each file that it writes; it leaves no image when it crashes."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_own_memory(gib: float) -> None:
    """Let this process fail rather than the machine, whatever it is given to read.

    What it starts may take more.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_AS, (int(gib * 2**30), hard))
