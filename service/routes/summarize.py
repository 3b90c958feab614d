"""POST /v1/summarize."""

from fastapi import APIRouter, Request, Response

from service.answers import SummarizeResponse
from service.catalogue import Catalogue
from service.openapi import WORK, reads, responses
from service.reception import Reception
from service.routes.work import Task, respond
from service.schemas import SummarizeRequest

SUMMARIZE = Task("summarize", "summary", "summaries")


def summarize_router(catalogue: Catalogue, reception: Reception) -> APIRouter:
    """The route."""
    router = APIRouter()

    @router.post(
        "/v1/summarize",
        summary="Summarize one text or several",
        openapi_extra=reads(SummarizeRequest),
        responses=responses(SummarizeResponse, WORK, streamed=True),
    )
    async def summarize(request: Request) -> Response:
        return await respond(request, SummarizeRequest, SUMMARIZE, catalogue, reception)

    return router
