# The HTTP front end: no torch, no numpy, no model files. It also holds make_secrets.py, which the service `setup` runs once.
FROM python:3.11-slim-bookworm AS libraries
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY docker/api.txt /docker/
RUN python -m venv --without-pip /venv && pip --python /venv/bin/python install --no-deps -r /docker/api.txt

FROM libraries AS code
COPY pyproject.toml README.md LICENSE /source/
COPY contract /source/contract
COPY service /source/service
COPY workers /source/workers
COPY radii /source/radii
COPY smoothing /source/smoothing
COPY certifier /source/certifier
COPY evaluation /source/evaluation
COPY models/__init__.py /source/models/__init__.py
RUN pip --python /venv/bin/python install --no-deps --target /app /source && PYTHONPATH=/app pip --python /venv/bin/python check

FROM libraries
LABEL org.opencontainers.image.title="radii API" \
  org.opencontainers.image.description="Certifies image classifiers: the HTTP front end." \
  org.opencontainers.image.version="0.1.0" \
  org.opencontainers.image.licenses="Apache-2.0"
# New volumes copy the owner and mode of these folders: only the user of the containers may read them.
RUN groupadd --gid 10001 radii \
  && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin radii \
  && install --directory --owner 10001 --group 10001 --mode 0700 /secrets /secrets/redis /secrets/api /secrets/operator
COPY --from=code /app /app
COPY docker/make_secrets.py /app/make_secrets.py
RUN chmod 0644 /app/make_secrets.py
USER 10001:10001
# The file system can be read-only: bytecode was compiled above, and only /tmp is written.
ENV PATH=/app/bin:/venv/bin:$PATH PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["radii", "healthcheck", "--api"]
CMD ["radii", "api", "--host", "0.0.0.0", "--port", "8000"]
