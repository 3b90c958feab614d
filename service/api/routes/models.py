"""GET /v1/models, and POST /v1/models/{name}/reload for administrators."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from service.api.intake import Intake
from service.api.openapi import ADMINISTRATION, READ, responses
from service.api.responses import (
    ModelResult,
    ModelsResponse,
    ReloadResponse,
    json_response,
    window_result,
)
from service.engine.sequence_worker import SequenceProfile
from service.registry.model_registry import ModelRegistry, ServedModel


def models_router(registry: ModelRegistry, intake: Intake) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    @router.get(
        "/v1/models",
        summary="The models that are served",
        responses=responses(ModelsResponse, READ),
    )
    async def models(request: Request) -> Response:
        intake.client(request)
        answer: ModelsResponse = {"models": [_describe(model) for model in registry.served]}
        return json_response(answer)

    @router.post(
        "/v1/models/{name}/reload",
        summary="Replace a model by what is at its path now, without dropping a request",
        responses=responses(ReloadResponse, ADMINISTRATION),
    )
    async def reload(request: Request, name: Annotated[str, Path()]) -> Response:
        intake.check_admin(request)
        await registry.reload(name)
        (digest,) = [each.worker.digest for each in registry.served if each.entry.name == name]
        answer: ReloadResponse = {"model": name, "digest": digest}
        return json_response(answer)

    return router


def _describe(model: ServedModel) -> ModelResult:
    profile = model.worker.profile
    sequences = profile if isinstance(profile, SequenceProfile) else None
    return {
        "name": model.entry.name,
        "task": profile.task,
        "source": profile.source_language or None,
        "target": profile.target_language or None,
        "source_kind": sequences.source_kind if sequences else "pieces",
        "target_kind": sequences.target_kind if sequences else "pieces",
        "width": sequences.width or None if sequences else None,
        "window": window_result(sequences.window if sequences else None),
        "digest": model.worker.digest,
        "card": model.worker.card,
        "options": model.worker.defaults,
        "loaded_at": model.loaded_at.timestamp(),
    }
