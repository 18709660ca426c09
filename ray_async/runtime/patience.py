"""Patience: whether to look for a moment for what is about to come, or to sleep at once."""

__all__ = ("LONG_NS", "SHORT_NS", "Patience")

_MOST_PASSED_OVER = 16
SHORT_NS = 60_000  # what a call without work and its reply take on a virtual machine
LONG_NS = 200_000  # what one of a library takes that has to do something for it


class Patience:
    """Which occasions to look are used, and for how long: all while looks succeed, ever fewer while they are in vain.

    A look that succeeds saves a wake-up, one in vain costs its CPU time: with a call each millisecond a look at each
    occasion would take some percent of a core for nothing. Where a short look is in vain, the next one is long.

    Attributes:
        look_ns: For how long to look at the next occasion, in nanoseconds.
    """

    def __init__(self) -> None:
        self.look_ns = SHORT_NS
        self._passed_over = 0  # occasions since the last look
        self._pass_over = 0

    def allows(self) -> bool:
        """Whether this occasion is one to look; `note` follows if it is."""
        if self._passed_over < self._pass_over:
            self._passed_over += 1
            return False
        self._passed_over = 0
        return True

    def note(self, *, in_vain: bool) -> None:
        """Say how a look has ended."""
        if not in_vain:
            self._pass_over = 0
        elif self.look_ns == SHORT_NS:
            self.look_ns = LONG_NS
        else:
            self.look_ns = SHORT_NS
            self._pass_over = min(2 * self._pass_over + 1, _MOST_PASSED_OVER)
