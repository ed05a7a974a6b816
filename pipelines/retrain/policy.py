"""When to retrain: thresholds, stated here, settable, and written into every timeline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]


class Policy(BaseModel):
    """Retraining fires when any of these is crossed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    feature_drift: Positive = Field(
        1.0,
        description="A feature's distance from the rows that the model in service was trained on, in "
        "multiples of its drift threshold in schema.pbtxt",
    )
    label_drift: Positive = Field(
        1.0,
        description="The same for the share of rows of the label that is scored, such as late flights: what is "
        "predicted has shifted itself, whatever the features do",
    )
    prediction_drift: Positive = Field(
        0.1,
        description="Jensen-Shannon divergence, in bits, of the probabilities from those on the span that "
        "the model was blessed on",
    )
    auc_drop: Positive = Field(
        0.03, description="ROC AUC below that on the span that the model was blessed on"
    )
    log_loss_rise: Positive = Field(
        0.1, description="Log loss, nats a row, above that on the span that it was blessed on"
    )


class Signs(BaseModel):
    """What a new span shows, as far as the policy looks at it.

    Attributes:
        drift: by feature, its score in multiples of its threshold.
        label: the same of the scored label's share, by what that is called.
        predictions: by framework's title, the divergence of its probabilities.
        auc_drop: by framework's title, how far ROC AUC has fallen.
        log_loss_rise: by framework's title, how far log loss has risen.
    """

    model_config = ConfigDict(frozen=True)

    drift: Mapping[str, float]
    label: Mapping[str, float]
    predictions: Mapping[str, float]
    auc_drop: Mapping[str, float]
    log_loss_rise: Mapping[str, float]


def reasons_to_retrain(policy: Policy, signs: Signs) -> list[str]:
    """Every threshold that was crossed, in words with figures; empty for none."""
    return [
        *_beyond(signs.drift, policy.feature_drift, "{} has drifted, {:.2f} × its threshold"),
        *_beyond(signs.label, policy.label_drift, "the {} has moved, {:.2f} × its threshold"),
        *_beyond(
            signs.predictions, policy.prediction_drift, "{}'s predictions have drifted, {:.3f}"
        ),
        *_beyond(signs.auc_drop, policy.auc_drop, "{}'s ROC AUC has fallen by {:.3f}"),
        *_beyond(signs.log_loss_rise, policy.log_loss_rise, "{}'s log loss has risen by {:.3f}"),
    ]


def why_not(policy: Policy, signs: Signs) -> str:
    """What came closest, of each kind, where nothing was crossed."""
    kinds = (
        ("drift", signs.drift, policy.feature_drift, _times),
        ("label", signs.label, policy.label_drift, _times),
        ("predictions", signs.predictions, policy.prediction_drift, "{:.3f}".format),
        ("ROC AUC", signs.auc_drop, policy.auc_drop, _moved),
        ("log loss", signs.log_loss_rise, policy.log_loss_rise, _moved),
    )
    told = []
    for kind, values, limit, words in kinds:
        if values:
            name, value = max(values.items(), key=lambda each: each[1])
            told.append(f"{kind}: {name} {words(value)} (limit {limit:g})")
    return "; ".join(told)


def _times(ratio: float) -> str:
    return f"{ratio:.2f} × its threshold"


def _moved(loss: float) -> str:
    """A metric that has become better is not said to be worse by less than nothing."""
    return f"{'better' if loss < 0 else 'worse'} by {abs(loss):.3f}"


def _beyond(values: Mapping[str, float], limit: float, words: str) -> Iterable[str]:
    found = sorted(values.items(), key=lambda each: -each[1])
    return [
        f"{words.format(name, value)} (limit {limit:g})" for name, value in found if value > limit
    ]
