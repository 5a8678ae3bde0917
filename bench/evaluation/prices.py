"""Prices of tokens as the user gives them, and what a result's calls cost at them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.errors import BenchError
from bench.results import Result

_PRICE = re.compile(r"(?:(?P<name>.+)=)?(?P<read>\d{1,6}(?:\.\d{1,6})?):(?P<written>\d{1,6}(?:\.\d{1,6})?)")


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens cost, read and written, in the user's currency; ``name`` "" for every reranker."""

    name: str
    read: float
    written: float


def read_prices(given: Sequence[str]) -> tuple[Price, ...]:
    """Prices as the command line gives them: ``IN:OUT`` or ``RERANKER=IN:OUT``.

    Raises:
        BenchError: for anything else, or two prices for one reranker.
    """
    prices: dict[str, Price] = {}
    for text in given:
        match = _PRICE.fullmatch(text)
        if match is None:
            raise BenchError(
                f"--price {text!r} is no price. Write what a million tokens cost, read and written: 0.15:0.60, or "
                "RERANKER=0.15:0.60."
            )
        name = match["name"] or ""
        if name in prices:
            raise BenchError(f"--price is given twice for {name or 'every reranker'}. Give it once.")
        prices[name] = Price(name, float(match["read"]), float(match["written"]))
    return tuple(prices.values())


def price_of(name: str, prices: Sequence[Price]) -> Price | None:
    """The price of a reranker, by the name it was asked for with; None where none was given."""
    by_name = {price.name: price for price in prices}
    return by_name.get(name, by_name.get(""))


def priced(result: Result, price: Price | None) -> Result:
    """A result that says what its calls cost; unchanged where nothing was generated or no price is known."""
    if result.generation is None or price is None:
        return result
    return replace(result, generation=replace(result.generation, price_in=price.read, price_out=price.written))
