# One image for both services; the command line says which one runs:
#
#   docker run IMAGE python -m profile_service --listen 0.0.0.0:50051 --database CONNINFO
#   docker run IMAGE python -m deid_service --listen 0.0.0.0:50052 --profile-service HOST:PORT
#
# each with --tls-cert and --tls-key, and with the files of docs/operations.md.

# By its patch release, of one release of Debian: a build next month is of the same. Digests come
# with a release (CONTRIBUTING.md).
FROM python:3.13.9-slim-trixie AS build
WORKDIR /src
RUN python -m venv /opt/deid-cascade
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY protos protos
COPY profile_service profile_service
COPY deid_service deid_service
RUN /opt/deid-cascade/bin/pip install --no-cache-dir --constraint constraints.txt '.[oidc,tracing]'

FROM python:3.13.9-slim-trixie
# No shell, no home: the services write nothing to disk but the first keys, where a volume is.
RUN groupadd --system --gid 10001 deid \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin deid \
    && install --directory --owner 10001 --group 10001 --mode 0700 /keys
COPY --from=build /opt/deid-cascade /opt/deid-cascade
ENV PATH=/opt/deid-cascade/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# By number: Kubernetes' runAsNonRoot cannot look up a name.
USER 10001:10001
EXPOSE 50051 50052
# Both services finish what is under way after SIGTERM.
STOPSIGNAL SIGTERM
CMD ["deidcascade", "--help"]
