"""What a judgement says: typed, never a bare boolean.

The exit statuses are those of the command line: 0 conforms, 1 diverges, 3 unspecified, 4 incomplete.
"""

from dataclasses import dataclass, field
from enum import Enum


class Verdict(Enum):
    """The outcome of a judgement."""

    CONFORMS = "conforms"
    DIVERGES = "diverges"
    UNSPECIFIED = "unspecified"
    INCOMPLETE = "incomplete"

    @property
    def exit_status(self) -> int:
        """What the command line exits with."""
        return {"conforms": 0, "diverges": 1, "unspecified": 3, "incomplete": 4}[self.value]


@dataclass(frozen=True, slots=True)
class Observed:
    """One observation as a witness shows it: where it stands, and what it says."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Divergence:
    """One clause broken at one event.

    clause      the registered clause
    event       number of the event in the evidence, from 0; -1 for a state
    line        line or byte offset in the file; -1 when there is none
    observed    what happened
    permitted   what was allowed instead
    why         the figures of this case
    around      the state near the pages concerned
    nearest     the nearest kernel version that would accept it; "" when none does
    witness     the fewest observations that show it, in order
    """

    clause: str
    event: int
    line: int
    observed: str
    permitted: str
    why: str
    around: str = ""
    nearest: str = ""
    witness: tuple[Observed, ...] = ()


@dataclass(slots=True)
class Tally:
    """How often a clause was looked at, and how often it was broken."""

    checked: int = 0
    broken: int = 0


@dataclass(slots=True)
class Judgement:
    """Everything that a judgement found; divergences beyond `limit` are counted, not kept."""

    events: int = 0
    clauses: dict[str, Tally] = field(default_factory=dict)
    divergences: list[Divergence] = field(default_factory=list)
    explained: dict[str, int] = field(default_factory=dict)
    gaps: dict[str, int] = field(default_factory=dict)
    limit: int = 100

    def checked(self, clause: str, times: int = 1) -> None:
        """Note that a clause was looked at."""
        self.clauses.setdefault(clause, Tally()).checked += times

    def broken(self, divergence: Divergence) -> None:
        """Note that a clause was broken."""
        tally = self.clauses.setdefault(divergence.clause, Tally())
        tally.broken += 1
        if len(self.divergences) < self.limit:
            self.divergences.append(divergence)

    def require(
        self,
        clause: str,
        holds: bool,
        observed: str,
        permitted: str,
        why: str,
        *,
        event: int = -1,
        line: int = -1,
    ) -> None:
        """Note that a clause was looked at, and that it was broken unless it holds."""
        self.checked(clause)
        if not holds:
            self.broken(Divergence(clause, event, line, observed, permitted, why))

    def gap(self, why: str, times: int = 1) -> None:
        """Note something that the evidence does not show."""
        self.gaps[why] = self.gaps.get(why, 0) + times

    def explain(self, why: str) -> None:
        """Note something unusual that the evidence itself explains."""
        self.explained[why] = self.explained.get(why, 0) + 1

    @property
    def verdict(self) -> Verdict:
        """The outcome: a broken clause outweighs a gap."""
        if any(tally.broken for tally in self.clauses.values()):
            return Verdict.DIVERGES
        if self.gaps:
            return Verdict.INCOMPLETE
        return Verdict.CONFORMS if self.events else Verdict.UNSPECIFIED
