# A worker: engine and queue worker. The same image runs on CPU and on NVIDIA GPUs (PyTorch's wheels carry CUDA).
FROM python:3.11-slim-bookworm AS build
RUN python -m venv /venv
# The large and slow part first: it does not change with our code.
RUN /venv/bin/python -m pip install --no-cache-dir torch torchvision
COPY . /source
RUN /venv/bin/python -m pip install --no-cache-dir '/source[worker]'

FROM python:3.11-slim-bookworm
COPY --from=build /venv /venv
RUN useradd --uid 10001 --create-home radii
USER 10001
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1
STOPSIGNAL SIGTERM
CMD ["radii", "worker"]
