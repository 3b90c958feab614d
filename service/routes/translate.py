"""POST /v1/translate."""

from fastapi import APIRouter, Request, Response

from service.answers import TranslateResponse
from service.catalogue import Catalogue
from service.generation import documents_of
from service.openapi import WORK, reads, responses
from service.reception import Reception
from service.routes.work import Prepared, Task, respond
from service.schemas import GenerateRequest, TranslateRequest
from service.worker import Worker

TRANSLATE = Task("translate", "translation", "translations")


def translate_router(catalogue: Catalogue, reception: Reception) -> APIRouter:
    """The route."""
    router = APIRouter()

    async def prepare(worker: Worker, body: GenerateRequest) -> Prepared:
        language = body.source or catalogue.language(worker)
        return await documents_of(body.texts, language), [None] * len(body.texts)

    @router.post(
        "/v1/translate",
        summary="Translate one text or several",
        openapi_extra=reads(TranslateRequest),
        responses=responses(TranslateResponse, WORK, streamed=True),
    )
    async def translate(request: Request) -> Response:
        return await respond(request, TranslateRequest, TRANSLATE, catalogue, reception, prepare)

    return router
