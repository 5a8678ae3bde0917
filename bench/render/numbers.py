"""How numbers are printed, one function each; figures from 0 to 1 are shown times 100."""

import math

BLANK = "–"
"""A figure that was not measured or cannot be known."""
AT_LEAST = "≥"


def score(figure: float) -> str:
    """A figure from 0 to 1 in points: 0.6194 is ``61.94``."""
    return f"{100 * figure:.2f}"


def at_least(figure: str, failed: int) -> str:
    """A figure, marked as a lower bound where ``failed`` queries count as 0 only because a call failed."""
    return f"{AT_LEAST}{figure}" if failed else figure


def difference(figure: float) -> str:
    """A difference of figures from 0 to 1 in points, with its sign: ``+1.25``; never ``-0.00``."""
    return f"{round(100 * figure, 2) + 0.0:+.2f}"  # adding 0.0 turns -0.0 into 0.0


def interval(low: float, high: float) -> str:
    """The bounds of a difference: ``-0.50 to +1.25``."""
    return f"{difference(low)} to {difference(high)}"


def percent(share: float | None) -> str:
    """A share from 0 to 1: ``87.5%``."""
    return BLANK if share is None else f"{100 * share:.1f}%"


def p_value(p: float) -> str:
    """A p-value in a table: ``.0123``; ``<.001`` below that, where a randomisation test's digits mean little."""
    return "<.001" if p < 0.001 else f"{p:.4f}".removeprefix("0")


def p_equals(p: float) -> str:
    """A p-value in a sentence: ``p = .0123``, ``p < .001``."""
    return "p < .001" if p < 0.001 else f"p = {p_value(p)}"


def count(number: int) -> str:
    """A whole number: ``1,234``."""
    return f"{number:,}"


def size(number: int) -> str:
    """A number of parameters for people: 596,836,352 is ``597M``."""
    if number >= 10**9:
        return f"{number / 10**9:.2f}B"
    return f"{number / 10**6:.0f}M" if number >= 10**6 else count(number) if number else BLANK


def storage(number: int) -> str:
    """A number of bytes: ``17.2 GiB``, ``2.8 KiB``."""
    for exponent, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if number >= 2**exponent:
            return f"{number / 2**exponent:,.1f} {unit}"
    return f"{number} bytes"


def seconds(number: float) -> str:
    """A duration in seconds, of three digits: ``0.0213``, ``1.20``, ``35.7``."""
    digits = 2 - math.floor(math.log10(number)) if number > 0 else 0
    return f"{number:,.{min(max(digits, 0), 6)}f}"


def rate(per_second: float | None) -> str:
    """Units a second: ``1,234``, or ``2.50`` where there are few."""
    if per_second is None:
        return BLANK
    return f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.2f}"
