"""Kinds of number that declared models share, each with its bounds: nothing else is taken for them."""

from typing import Annotated

from pydantic import Field

Count = Annotated[int, Field(strict=True, ge=0, le=10**9)]
Positive = Annotated[int, Field(strict=True, ge=1, le=10**9)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
Amount = Annotated[float, Field(strict=True, ge=0, le=1e6)]
AboveZero = Annotated[float, Field(strict=True, gt=0, le=1e6)]
