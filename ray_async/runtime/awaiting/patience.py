"""Patience: whether to look for a moment for what is about to come, or to sleep at once."""

__all__ = ("Patience",)

_MOST_PASSED_OVER = 16


class Patience:
    """Which occasions to look are used: all while looks succeed, ever fewer while they are in vain.

    A look that succeeds saves a wake-up, one in vain costs its CPU time: with a call each millisecond a look at each
    occasion would take some percent of a core for nothing.
    """

    def __init__(self) -> None:
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
        self._pass_over = min(2 * self._pass_over + 1, _MOST_PASSED_OVER) if in_vain else 0
