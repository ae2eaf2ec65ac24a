#!/usr/bin/env bash
# Gradescope runs this once, as root, when it builds the image of the autograder.
set -euo pipefail
cd /autograder/source
apt-get update
apt-get install -y git make python3.11 python3.11-venv || apt-get install -y git make python3 python3-venv
scripts/system-packages redis-server javac mvn bwrap
make setup
