# Redis for this service: durable, without eviction, not as root, with its password from a file.
FROM redis:8-bookworm
LABEL org.opencontainers.image.title="radii store" \
  org.opencontainers.image.description="Redis with an append-only file and one user." \
  org.opencontainers.image.version="0.1.0"
COPY docker/redis.conf /etc/radii/redis.conf
COPY docker/redis-start docker/backup docker/restore /usr/local/bin/
# New volumes copy the owner and mode of these folders: only the user of the containers may read them.
RUN chmod 0755 /etc/radii /usr/local/bin/redis-start /usr/local/bin/backup /usr/local/bin/restore \
  && chmod 0644 /etc/radii/redis.conf \
  && groupadd --gid 10001 radii \
  && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin radii \
  && install --directory --owner 10001 --group 10001 --mode 0700 /store /secrets /secrets/redis
USER 10001:10001
WORKDIR /store
STOPSIGNAL SIGTERM
# With -e, an error reply such as LOADING fails the check.
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=12 \
  CMD REDISCLI_AUTH="$(cat "$RADII_REDIS_PASSWORD_FILE")" redis-cli -e ping
ENTRYPOINT ["redis-start"]
CMD ["--maxmemory", "2gb"]
