"""The base of all facts; apart from them, so that they can lie in several modules."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Facts(BaseModel):
    """Base of all facts: frozen, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")
