"""The flights network in PyTorch."""

import torch
from torch import Tensor, nn

from models.cases.flights.columns import (
    CROSSES,
    DAYS,
    DROPOUT,
    EMBEDDED,
    HIDDEN,
    HOURS,
    LARGEST_SCALED,
    NUMBERS,
    WORDS,
    Columns,
)
from models.constants import KNOWN, MISSING, UNSEEN, Constants


class Flights(nn.Module):
    """Raw columns (N,) to ``logits`` and ``probabilities`` (N, 2)."""

    vocabularies: dict[str, dict[str, int]]
    means: Tensor
    stds: Tensor
    fills: Tensor
    may_be_missing: Tensor
    crossed: Tensor
    strides: Tensor
    offsets: Tensor

    def __init__(self, constants: Constants) -> None:
        super().__init__()
        plan = Columns.of(constants)
        self.vocabularies = {
            name: _places(constants["categorical"][name]["vocabulary"]) for name in WORDS
        }
        self._keep("means", torch.tensor(plan.means))
        self._keep("stds", torch.tensor(plan.stds))
        self._keep("fills", torch.tensor(plan.fills))
        self._keep("may_be_missing", torch.tensor(plan.may_be_missing))
        places, sizes = plan.places, plan.sizes
        self._keep("crossed", torch.tensor([[places[a], places[b]] for a, b in CROSSES]))
        self._keep("strides", torch.tensor([sizes[second] for _, second in CROSSES]))
        self._keep("offsets", torch.tensor(plan.offsets))
        self.minute = NUMBERS.index("minute_of_day")
        self.day = NUMBERS.index("day_of_week")
        self.hours, self.days = HOURS, DAYS
        self.largest, self.unseen = LARGEST_SCALED, UNSEEN
        self.deep = nn.ModuleDict({n: nn.Embedding(sizes[n], size) for n, size in EMBEDDED.items()})
        self.wide = nn.Embedding(plan.wide_size, 2)
        joined = sum(EMBEDDED.values()) + len(plan.means) + len(plan.may_be_missing)
        self.hidden1 = nn.Linear(joined, HIDDEN[0])
        self.hidden2 = nn.Linear(HIDDEN[0], HIDDEN[1])
        self.dropout = nn.Dropout(DROPOUT)
        self.classifier = nn.Linear(HIDDEN[1], 2)

    def forward(
        self,
        month: Tensor,
        day_of_week: Tensor,
        minute_of_day: Tensor,
        scheduled_minutes: Tensor,
        distance: Tensor,
        plane_year: Tensor,
        seats: Tensor,
        temp: Tensor,
        dewp: Tensor,
        humid: Tensor,
        wind_speed: Tensor,
        wind_gust: Tensor,
        precip: Tensor,
        pressure: Tensor,
        visib: Tensor,
        carrier: list[str],
        origin: list[str],
        dest: list[str],
        manufacturer: list[str],
    ) -> dict[str, Tensor]:
        return self.answer(
            self.encode(
                month, day_of_week, minute_of_day, scheduled_minutes, distance, plane_year, seats,
                temp, dewp, humid, wind_speed, wind_gust, precip, pressure, visib,
                carrier, origin, dest, manufacturer,
            )
        )  # fmt: skip

    def encode(
        self,
        month: Tensor,
        day_of_week: Tensor,
        minute_of_day: Tensor,
        scheduled_minutes: Tensor,
        distance: Tensor,
        plane_year: Tensor,
        seats: Tensor,
        temp: Tensor,
        dewp: Tensor,
        humid: Tensor,
        wind_speed: Tensor,
        wind_gust: Tensor,
        precip: Tensor,
        pressure: Tensor,
        visib: Tensor,
        carrier: list[str],
        origin: list[str],
        dest: list[str],
        manufacturer: list[str],
    ) -> dict[str, Tensor]:
        """``columns`` int64 (N, 6), ``wide`` int64 (N, 10) and ``numbers`` float32 (N, F)."""
        raw = torch.stack(
            (
                month, day_of_week, minute_of_day, scheduled_minutes, distance, plane_year, seats,
                temp, dewp, humid, wind_speed, wind_gust, precip, pressure, visib,
            ),
            dim=1,
        )  # fmt: skip
        missing = torch.isnan(raw)
        filled = torch.where(missing, self.fills, raw)  # (N, 15)
        scaled = ((filled - self.means) / self.stds).clamp(-self.largest, self.largest)
        told = missing.to(torch.float32)[:, self.may_be_missing]
        words = [
            self.look_up("carrier", carrier),
            self.look_up("origin", origin),
            self.look_up("dest", dest),
            self.look_up("manufacturer", manufacturer),
        ]
        # Hour and day as indices; what no clock shows is taken for the nearest that it does.
        hour = torch.floor(filled[:, self.minute] / 60).clamp(0, self.hours - 1).to(torch.int64)
        day = filled[:, self.day].clamp(0, self.days - 1).to(torch.int64)
        columns = torch.stack((words[0], words[1], words[2], words[3], hour, day), dim=1)
        crosses = columns[:, self.crossed[:, 0]] * self.strides + columns[:, self.crossed[:, 1]]
        return {
            "columns": columns,
            "wide": torch.cat((columns, crosses), dim=1) + self.offsets,
            "numbers": torch.cat((scaled, told), dim=1),
        }

    def answer(self, encoded: dict[str, Tensor]) -> dict[str, Tensor]:
        """The trained part, from what ``encode`` returns."""
        columns = encoded["columns"]
        joined: list[Tensor] = []
        for place, embedding in enumerate(self.deep.values()):
            joined.append(embedding(columns[:, place]))
        joined.append(encoded["numbers"])
        x = torch.cat(joined, dim=1)
        x = self.dropout(torch.relu(self.hidden1(x)))
        x = self.dropout(torch.relu(self.hidden2(x)))
        logits = self.classifier(x) + self.wide(encoded["wide"]).sum(dim=1)
        return {"logits": logits, "probabilities": torch.softmax(logits, dim=1)}

    def look_up(self, column: str, words: list[str]) -> Tensor:
        """Indices int64 (N,): see ``models.constants``."""
        places = self.vocabularies[column]
        return torch.tensor(
            [places.get(word, self.unseen) for word in words],
            dtype=torch.int64,
            device=self.means.device,
        )

    def _keep(self, name: str, constant: Tensor) -> None:
        """A constant that goes where the network goes, and is no weight."""
        self.register_buffer(name, constant, persistent=False)


def network(constants: Constants) -> nn.Module:
    """A fresh network; its weights are overwritten with the shared initial ones."""
    return Flights(constants)


def _places(vocabulary: list[str]) -> dict[str, int]:
    return {"": MISSING} | {word: KNOWN + place for place, word in enumerate(vocabulary)}
