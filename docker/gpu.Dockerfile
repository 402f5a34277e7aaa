# A GPU worker of one's own: the CPU image and what kernels need to be compiled on the machine. The driver is the host's;
# CUDA comes with the torch wheel. Run with the NVIDIA container toolkit.
# `rawtune-cpu` is the image of cpu.Dockerfile: a named context in compose.yaml, a tag when built by hand.
# hadolint ignore=DL3006
FROM rawtune-cpu
ARG EXTRAS=""
USER 0
# Triton compiles its launchers with the C compiler that it finds.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --no-install-recommends -y gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
COPY constraints.txt /tmp/constraints.txt
# hadolint ignore=DL3042
RUN --mount=type=cache,target=/root/.cache/pip \
    if [ -n "$EXTRAS" ]; then python -m pip install -c /tmp/constraints.txt "rawtune[$EXTRAS]"; fi
USER 1000
CMD ["prefect", "worker", "start", "--pool", "gpu-colab", "--type", "process", "--limit", "1", "--with-healthcheck"]
