# The CPU worker, and the Prefect server: one image, two commands (see compose.yaml).
# PIP_INDEX_URL and PIP_EXTRA_INDEX_URL may be given as build arguments, for instance to take torch without CUDA.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim-trixie AS build
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/rawtune
ENV PATH=/opt/rawtune/bin:$PATH
WORKDIR /src
# Dependencies first, by the hashes of their files: a change of rawtune's own code does not make this layer again.
# torch alone is pinned by its version, because its wheels differ per index.
COPY requirements.lock constraints.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --no-deps --require-hashes -r requirements.lock \
    && pip install -c constraints.txt torch
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY tasks tasks
COPY flows flows
COPY deployments deployments
RUN --mount=type=cache,target=/root/.cache/pip pip install --no-deps --no-build-isolation .

FROM python:${PYTHON}-slim-trixie
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --no-install-recommends -y git tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home rawtune \
    && install --directory --owner rawtune --group rawtune /home/rawtune/work /home/rawtune/.prefect
COPY --from=build /opt/rawtune /opt/rawtune
ENV PATH=/opt/rawtune/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DO_NOT_TRACK=1 \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    PREFECT_LOGGING_EXTRA_LOGGERS=tasks,flows
USER 1000
WORKDIR /home/rawtune
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=5)"]
ENTRYPOINT ["tini", "--"]
CMD ["prefect", "worker", "start", "--pool", "cpu", "--type", "process", "--with-healthcheck"]
