"""POST /v1/summarize."""

from fastapi import APIRouter, Request, Response

from service.api.intake import Intake
from service.api.openapi import WORK, reads, responses
from service.api.requests import SummarizeRequest
from service.api.responses import SummarizeResponse
from service.api.text_request import Task, respond
from service.registry.model_registry import ModelRegistry

SUMMARIZE = Task("summarize", "summary", "summaries")


def summarize_router(registry: ModelRegistry, intake: Intake) -> APIRouter:
    """The route."""
    router = APIRouter()

    @router.post(
        "/v1/summarize",
        summary="Summarize one text or several",
        openapi_extra=reads(SummarizeRequest),
        responses=responses(SummarizeResponse, WORK, streamed=True),
    )
    async def summarize(request: Request) -> Response:
        return await respond(request, SummarizeRequest, SUMMARIZE, registry, intake)

    return router
