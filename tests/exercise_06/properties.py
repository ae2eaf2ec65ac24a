"""How properties are tried: the same cases every time, however long a busy machine takes."""

import hypothesis

steady = hypothesis.settings(deadline=None, derandomize=True)
