"""How many files and connections a process may have open."""

import resource

OPEN_FILES = 8_192


def allow_open_files() -> None:
    """Raise this process's limit, and so its children's: a usual one is 1,024 or less."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
