"""Exercise 4 with production parts: convert the model, start the server, run the demonstration.

python -m exercise_04_serving.production [part ...]     # all parts when none is named
"""

import sys

from exercise_04_serving.demo import demonstrate
from exercise_04_serving.production.onnx_model import convert_trained_model
from exercise_04_serving.production.server import require_parts
from lab.learn import run_script


def main() -> None:
    parts = sorted(require_parts(sys.argv[1:]))
    print(f"Production parts: {', '.join(parts)}")
    if "onnx_model" in parts:
        convert_trained_model()
    demonstrate([sys.executable, "-m", "exercise_04_serving.production.server", *parts])


if __name__ == "__main__":
    run_script(main)
