"""Feast's own server at its best: python -O -m benchmarks.harness.feast_server PORT WORKERS

Feast's stores, no access log, a registry that is not read again, workers that are not replaced
every thousand requests, and -O, without which Feast checks the types of its own calls.
"""

import sys
from typing import Any

import yaml
from feast.cli.cli import cli

from lab.feature_store import effective_config, silence_known_warnings
from lab.settings import settings

AN_HOUR = 3_600


def main() -> None:
    port, workers = sys.argv[1:]
    silence_known_warnings()
    config = effective_config("feast")
    config["registry"]["cache_ttl_seconds"] = AN_HOUR
    file = settings.build_dir / "feast_server.yaml"
    file.write_text(yaml.safe_dump(config))
    options: dict[str, Any] = {
        "host": settings.host,
        "port": port,
        "workers": workers,
        "registry_ttl_sec": AN_HOUR,
        "max-requests": 0,
        "max-requests-jitter": 0,
    }
    flags = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    place = ["--chdir", str(settings.feature_repo), "--feature-store-yaml", str(file)]
    cli.main([*place, "serve", "--no-access-log", *flags])


if __name__ == "__main__":
    main()
