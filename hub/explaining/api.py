"""Explanations for programs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from hub.conversations.api import AnalysisOut, analysis_out
from hub.conversations.queries import find_analysed
from hub.explaining.service import explain_message
from hub.http import ApiCaller, HubDep, RowId
from sentiment.types import Explanation

router = APIRouter(tags=["conversations"])


class WordOut(BaseModel):
    """`text[start:end]` of what was read: a word, or a passage of a long text."""

    start: int
    end: int
    text: str
    contribution: float


class ExplanationOut(BaseModel):
    """Which words of `text`, the customer's own in this message, moved `label`.

    A word's `contribution` is what it adds to the label's natural log odds; below 0 it speaks against it.
    `total` are the odds as they are, `baseline` those without any word; words work together, so that
    contributions need not add up to the difference.
    """

    model: str
    head: str
    label: str
    confidence: float
    total: float
    baseline: float
    text: str
    words: list[WordOut]


class ExplainedAnalysisOut(AnalysisOut):
    """An analysis; `explanation` is null where none was asked for."""

    explanation: ExplanationOut | None


@router.get("/messages/{message_id}/analysis")
def get_analysis(
    user: ApiCaller, hub: HubDep, message_id: RowId, explain: Annotated[str, Query(max_length=100)] = ""
) -> ExplainedAnalysisOut:
    """What the model said of a message; 404 while no model has read it.

    With `explain` the model that is at work now says which words moved a label of that head: `sentiment`,
    `intents:complaint`. That takes up to two seconds.
    """
    with hub.database.reading() as session:
        message = find_analysed(session, message_id)
        assert message.analysis is not None
        said = analysis_out(message.analysis, message.corrections)
    explanation = explanation_out(*explain_message(hub, message_id, explain)) if explain else None
    return ExplainedAnalysisOut(**said.model_dump(), explanation=explanation)


def explanation_out(text: str, why: Explanation) -> ExplanationOut:
    """An explanation of `text` as the API shows it."""
    return ExplanationOut(
        model=why.model,
        head=why.head,
        label=why.label,
        confidence=why.confidence,
        total=why.total,
        baseline=why.baseline,
        text=text,
        words=[WordOut.model_validate(word, from_attributes=True) for word in why.words],
    )
