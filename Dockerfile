# The service:  docker build --target cpu -t dragoman:cpu .
#               docker build --target cuda -t dragoman:cuda .
# Everything lies in /app and in Python's packages, and nothing is written when it runs.
FROM python:3.11-slim AS base
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin dragoman
WORKDIR /app

# Dependencies first: this layer changes only with them. torch comes later, from the index of a
# target.
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; \
    project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
    print(*[name for name in project['dependencies'] if not name.startswith('torch')], sep='\n')" \
    > requirements.txt \
    && pip install -c constraints.txt -r requirements.txt

ENV DRAGOMAN_HOST=0.0.0.0 NUMBA_CACHE_DIR=/app/kernels
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz')"]
CMD ["dragoman-serve", "/models/run"]


FROM base AS package
COPY LICENSE ./
COPY model model
COPY training training
COPY service service
RUN pip wheel --no-deps --wheel-dir wheels .


# torch alone, as in the Makefile, so that no other package chooses its build; then what it needs.
# The kernels of int8 are compiled here, for processors like the one that builds the image. On
# another one the server compiles them when it starts.
FROM base AS cuda
ARG TORCH_INDEX=https://download.pytorch.org/whl/cu130
RUN pip install --no-deps --index-url "$TORCH_INDEX" -c constraints.txt torch \
    && pip install -c constraints.txt torch
COPY --from=package /app/wheels wheels
RUN pip install --no-deps wheels/*.whl && python -m model.decoding.precompile
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001:10001


# The last one is what `docker build .` makes.
FROM base AS cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --no-deps --index-url "$TORCH_INDEX" -c constraints.txt torch \
    && pip install -c constraints.txt torch
COPY --from=package /app/wheels wheels
RUN pip install --no-deps wheels/*.whl && python -m model.decoding.precompile
USER 10001:10001
