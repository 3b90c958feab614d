"""POST /v1/translate."""

from fastapi import APIRouter, Request, Response

from service.api.intake import Intake
from service.api.openapi import WORK, reads, responses
from service.api.requests import TranslateRequest
from service.api.responses import TranslateResponse
from service.api.text_request import Task, respond
from service.registry.model_registry import ModelRegistry

TRANSLATE = Task("translate", "translation", "translations")


def translate_router(registry: ModelRegistry, intake: Intake) -> APIRouter:
    """The route."""
    router = APIRouter()

    @router.post(
        "/v1/translate",
        summary="Translate one text or several",
        openapi_extra=reads(TranslateRequest),
        responses=responses(TranslateResponse, WORK, streamed=True),
    )
    async def translate(request: Request) -> Response:
        return await respond(request, TranslateRequest, TRANSLATE, registry, intake)

    return router
