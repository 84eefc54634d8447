# One image for every stage: the command says which, e.g. `services.intake.app`.
#   docker build -t orderlog:0.1.0 .
# BASE_IMAGE must hold Python 3.11 or newer; take one from your own registry by digest for production.
ARG BASE_IMAGE=python:3.11-slim

FROM ${BASE_IMAGE} AS dependencies
COPY requirements-runtime.lock /
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes \
        -r /requirements-runtime.lock

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="Orderlog" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=dependencies /venv /venv
WORKDIR /app
COPY LICENSE NOTICE ./
COPY libs libs
COPY services services
# Compiled at build time: the root filesystem is read-only when it runs.
RUN /venv/bin/python -m compileall -q libs services
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# As the local stack has them (deploy/local/stack.py): a stage stays under 200 MB.
ENV MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=1048576 MALLOC_TRIM_THRESHOLD_=1048576
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m"]
CMD ["services.intake.app"]
