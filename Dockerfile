# The service:  docker build --target cpu -t dragoman:cpu .
#               docker build --target cuda -t dragoman:cuda .
# Everything lies in /app and in Python's packages, and nothing is written when it runs.
# The image below and every package are pinned by their SHA-256; both targets are for linux/amd64.
FROM python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3 AS base
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin dragoman
WORKDIR /app

# Dependencies first: this layer changes only with them. torch comes later, from the index of a
# target. What builds packages is pinned, too, and so nothing is built in isolation.
COPY requirements requirements
RUN pip install --require-hashes -r requirements/build.txt \
    && pip install --require-hashes --no-build-isolation -r requirements/image.txt

ENV DRAGOMAN_HOST=0.0.0.0 NUMBA_CACHE_DIR=/app/kernels
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-m", "service.healthcheck"]
CMD ["dragoman-serve", "/models/run"]


FROM base AS package
COPY pyproject.toml LICENSE dragoman_commands.py ./
COPY dragoman dragoman
COPY model model
COPY training training
COPY service service
COPY pretrained pretrained
RUN pip wheel --no-deps --no-build-isolation --wheel-dir wheels .


# torch alone, as in the Makefile, so that no other package chooses its build; PyPI's is the one for
# CUDA. The kernels of int8 are compiled here, for processors like the one that builds the image. On
# another one the server compiles them when it starts.
FROM base AS cuda
ARG TORCH_INDEX=https://pypi.org/simple
RUN pip install --require-hashes --index-url "$TORCH_INDEX" -r requirements/torch-cuda.txt
COPY --from=package /app/wheels wheels
RUN pip install --no-deps wheels/*.whl && pip check && python -m model.decoding.precompile
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001:10001


# The last one is what `docker build .` makes.
FROM base AS cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --require-hashes --index-url "$TORCH_INDEX" -r requirements/torch-cpu.txt
COPY --from=package /app/wheels wheels
RUN pip install --no-deps wheels/*.whl && pip check && python -m model.decoding.precompile
USER 10001:10001
