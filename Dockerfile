# The image of the worker. docs/howto/image.md says how to build, run and verify it.
#
# The digest pins the base for good; it is that of your registry's image, so it has to be given:
#   --build-arg BASE_DIGEST=sha256:…      Empty, it takes whatever BASE_TAG means on that day.
ARG BASE_IMAGE=docker.io/library/python
ARG BASE_TAG=3.13-slim-trixie
ARG BASE_DIGEST=

# ---- build: a virtual environment without pip, at the path where it will stay ---------------------------
FROM ${BASE_IMAGE}:${BASE_TAG}${BASE_DIGEST:+@}${BASE_DIGEST} AS build

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

WORKDIR /src
COPY requirements.lock scripts/pip-*.whl ./
# The project's own pip runs from its wheel, whatever the base brings; it is not installed.
RUN pip="$(echo pip-*.whl)/pip" \
    && python3 -m venv --without-pip /opt/reconciler \
    && /opt/reconciler/bin/python "$pip" install --no-deps --require-hashes --only-binary :all: --no-compile \
        --requirement requirements.lock

# setuptools came with the lock, so nothing unpinned is fetched to build the project; it goes again.
COPY pyproject.toml README.md LICENSE config.toml ./
COPY checks/ checks/
COPY worker/ worker/
RUN pip="$(echo pip-*.whl)/pip" \
    && /opt/reconciler/bin/python "$pip" install --no-index --no-deps --no-build-isolation --no-compile . \
    && /opt/reconciler/bin/python "$pip" check \
    && /opt/reconciler/bin/python "$pip" uninstall --yes setuptools

# Bytecode that is valid whatever the time of its source: at run time nothing can be written there.
# SOURCE_DATE_EPOCH (seconds since 1970) dates every file, so that the same inputs give the same files.
ARG SOURCE_DATE_EPOCH=0
RUN PYTHONHASHSEED=0 /opt/reconciler/bin/python -m compileall -q \
        --invalidation-mode unchecked-hash /opt/reconciler/lib \
    && find /opt/reconciler -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH}" {} +

# ---- run ------------------------------------------------------------------------------------------------
FROM ${BASE_IMAGE}:${BASE_TAG}${BASE_DIGEST:+@}${BASE_DIGEST}

# Programs that run as their owner, whoever starts them, have no use here.
RUN find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
    && install --directory --owner=10001 --group=10001 --mode=0750 /var/lib/reconciler

COPY --from=build /opt/reconciler /opt/reconciler
COPY scripts/livez /opt/reconciler/bin/
COPY config.toml /etc/reconciler/

ENV PATH=/opt/reconciler/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/var/lib/reconciler \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RECONCILER_CONFIG=/etc/reconciler/config.toml \
    RECONCILER_HTTP__HOST=0.0.0.0

USER 10001:10001
WORKDIR /var/lib/reconciler
VOLUME /var/lib/reconciler
EXPOSE 9720
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-I", "/opt/reconciler/bin/livez"]
ENTRYPOINT ["reconciler"]
CMD ["run"]

# Last, because they differ from build to build: all layers above stay the same.
ARG BASE_IMAGE
ARG BASE_TAG
ARG BASE_DIGEST
ARG VERSION=0.1.0
ARG REVISION=
ARG CREATED=
LABEL org.opencontainers.image.title="reconciler" \
      org.opencontainers.image.description="Audits a MySQL or MariaDB ledger around the clock and alerts you when an invariant breaks" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}:${BASE_TAG}" \
      org.opencontainers.image.base.digest="${BASE_DIGEST}"
