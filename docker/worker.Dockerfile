# A worker: engine and queue worker. Stage `worker` is for CPUs; stage `gpu` adds the C compiler that Triton needs.
# PyTorch and its CUDA wheels are large. They have their own layer, which changes only with their versions.
FROM python:3.11-slim-bookworm AS pins
COPY docker/worker.txt /
RUN grep -E '^(torch|torchvision|triton|nvidia-.*|cuda-.*)==' /worker.txt > /torch.txt

FROM python:3.11-slim-bookworm AS libraries
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY --from=pins /torch.txt /docker/
RUN python -m venv --without-pip /venv && pip --python /venv/bin/python install --no-deps -r /docker/torch.txt
COPY docker/worker.txt /docker/
RUN pip --python /venv/bin/python install --no-deps -r /docker/worker.txt

FROM libraries AS code
COPY pyproject.toml README.md LICENSE /source/
COPY contract /source/contract
COPY service /source/service
COPY smoothing /source/smoothing
COPY workers /source/workers
COPY radii /source/radii
COPY models /source/models
COPY certifier /source/certifier
COPY evaluation /source/evaluation
RUN pip --python /venv/bin/python install --no-deps --target /app /source && PYTHONPATH=/app pip --python /venv/bin/python check

FROM libraries AS worker
LABEL org.opencontainers.image.title="radii worker" \
  org.opencontainers.image.description="Certifies image classifiers: computes votes, bounds and regions." \
  org.opencontainers.image.version="0.1.0" \
  org.opencontainers.image.licenses="Apache-2.0"
# A new volume copies the owner and mode of this folder: only the user of the containers may read it.
RUN groupadd --gid 10001 radii \
  && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin radii \
  && install --directory --owner 10001 --group 10001 --mode 0700 /secrets /secrets/redis
COPY --from=code /app /app
USER 10001:10001
# The file system can be read-only: bytecode was compiled above, and only /tmp is written.
ENV PATH=/app/bin:/venv/bin:$PATH PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
WORKDIR /tmp
STOPSIGNAL SIGTERM
# Healthy: the engine of this container has reported lately.
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s \
  CMD ["radii", "healthcheck", "--worker"]
CMD ["radii", "worker"]

FROM worker AS gpu
USER root
RUN apt-get update \
  && apt-get install --yes --no-install-recommends gcc libc6-dev \
  && rm -rf /var/lib/apt/lists/*
USER 10001:10001
LABEL org.opencontainers.image.title="radii worker for GPUs"
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
