"""What a feature's own history says, beside the two windows that are compared."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Steps:
    """How often an entity's value moved from one of its days to the next."""

    moved: int
    all: int

    @property
    def rate(self) -> float:
        return self.moved / self.all if self.all else float("nan")


@dataclass(frozen=True)
class Past:
    """`usual_psi`: what PSI tended to be on earlier days, with windows as far apart.

    `ended`: how many whole days before the as-of the newest row is, and the current window ends.
    """

    usual_psi: float = 0.0
    steps: tuple[Steps, Steps] = (Steps(0, 0), Steps(0, 0))
    ended: int = 0


NO_PAST = Past()
