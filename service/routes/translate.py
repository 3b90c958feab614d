"""POST /v1/translate."""

from fastapi import APIRouter, Request, Response

from service.answers import TranslateResponse
from service.catalogue import Catalogue
from service.openapi import WORK, reads, responses
from service.reception import Reception
from service.routes.work import Task, respond
from service.schemas import TranslateRequest

TRANSLATE = Task("translate", "translation", "translations")


def translate_router(catalogue: Catalogue, reception: Reception) -> APIRouter:
    """The route."""
    router = APIRouter()

    @router.post(
        "/v1/translate",
        summary="Translate one text or several",
        openapi_extra=reads(TranslateRequest),
        responses=responses(TranslateResponse, WORK, streamed=True),
    )
    async def translate(request: Request) -> Response:
        return await respond(request, TranslateRequest, TRANSLATE, catalogue, reception)

    return router
