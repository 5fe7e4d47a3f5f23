# The HTTP front end: no torch, no model files.
FROM python:3.11-slim-bookworm AS build
COPY pyproject.toml README.md LICENSE /source/
COPY contract /source/contract
COPY service /source/service
COPY workers /source/workers
COPY radii /source/radii
COPY smoothing /source/smoothing
COPY models/__init__.py /source/models/__init__.py
RUN python -m venv /venv && /venv/bin/python -m pip install --no-cache-dir /source

FROM python:3.11-slim-bookworm
COPY --from=build /venv /venv
RUN useradd --uid 10001 --create-home radii
USER 10001
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s \
  CMD ["python", "-c", "import httpx; httpx.get('http://127.0.0.1:8000/livez', timeout=2).raise_for_status()"]
CMD ["radii", "api", "--host", "0.0.0.0", "--port", "8000"]
