"""Ray Serve: the application of dragoman-serve as a deployment, whose replicas Ray starts and ends.

    serve run service.ray_serve:app run=/shared/models/demo.dragoman

Each replica is a process with models of its own, and its own scheduler counts and batches requests.
Only this file knows Ray Serve, which the extra `ray` installs. See docs/scale-out.md.
"""

import asyncio
import os
from pathlib import Path

from fastapi import FastAPI
from ray import serve

from model.checkpoint.pretrained import in_box
from model.errors import ConfigError
from service.app import create_app
from service.limits.api_keys import APIKeys
from service.observability.logs import configure_logging
from service.registry.listed_models import listed_models
from service.registry.model_loader import ModelLoader
from service.registry.model_registry import ModelRegistry
from service.server import LAST_BYTES_S, background_threads
from service.settings import ANY_HOST, Settings, read_settings

NAME = "Dragoman"
"""Of the deployment."""
RUN = "run"
OF_SERVE = {"host", "port"}
"""Settings of dragoman-serve that Serve has in their place."""


def app(arguments: dict[str, str]) -> serve.Application:
    """Make the application, for `serve run`, a config file of Serve or `serve.run`.

    Args:
        arguments: `run`, the runs to serve, with commas between them; and settings by their names,
            such as `device`, which win over the variables DRAGOMAN_* of the caller. Every replica
            gets them and must see the models.

    Raises:
        ConfigError: a setting is wrong, or no model is named.
    """
    given = _given(arguments)
    settings = read_settings(given)
    # A replica runs in a folder of its own; the name of a model in the box is no path.
    named = [Path(name.strip()) for name in arguments.get(RUN, "").split(",") if name.strip()]
    runs = [path.absolute() if os.path.exists(path) else path for path in named]
    for path in runs:
        if not os.path.exists(in_box(path)):
            raise ConfigError(f"{RUN}={path}: no such run, checkpoint or pack. Name one.")
    if settings.models is not None:
        settings = settings.model_copy(update={"models": settings.models.absolute()})
    listed_models(runs, None, settings)()  # what is wrong with a models file is told here
    APIKeys.from_settings(settings)

    def build() -> FastAPI:
        """Load the models, in a replica; Serve awaits its lifespan, and ends it after a drain."""
        configure_logging(
            form=settings.log_format, texts=settings.log_texts, level=settings.log_level
        )
        asyncio.get_running_loop().set_default_executor(background_threads())
        loader = ModelLoader.from_settings(settings)
        read = listed_models(runs, None, settings)
        registry = ModelRegistry(read, loader.load, settings.drain_s)
        hosts = settings.allowed_hosts
        return create_app(registry, settings, None if ANY_HOST in hosts else hosts or None)

    deployment = serve.deployment(
        serve.ingress(build)(),
        name=NAME,
        # Serve would let five in, and the others wait where nobody counts or batches them.
        max_ongoing_requests=settings.max_connections,
        graceful_shutdown_timeout_s=settings.drain_s + LAST_BYTES_S,
    )
    return deployment.bind()


def _given(arguments: dict[str, str]) -> dict[str, object]:
    """The settings among the arguments.

    Raises:
        ConfigError: one is no text, unknown, or that of Serve; or there are runs and a models file.
    """
    for name, value in arguments.items():
        if not isinstance(value, str):
            raise ConfigError(f'{name}: {value!r} is no text. Write it in quotes, as "4" or "a,b".')
    given: dict[str, object] = {name: value for name, value in arguments.items() if name != RUN}
    if ours := min(given.keys() & OF_SERVE, default=None):
        raise ConfigError(f"{ours}: Serve listens. Set http_options in its config file.")
    if unknown := min(given.keys() - Settings.model_fields.keys(), default=None):
        raise ConfigError(f"{unknown}: no such setting. Use {RUN}, or one of docs/serving.md.")
    if RUN in arguments and "models" in given:
        raise ConfigError(f"{RUN} and models: both. List the runs in the file, or leave it out.")
    return given
