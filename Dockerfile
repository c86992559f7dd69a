# syntax=docker/dockerfile:1
# oms-es as an image: `docker build -t oms-es .`; its arguments are those of the command `oms-es`.
FROM python:3.11-slim-bookworm AS build
RUN pip install --no-cache-dir 'uv>=0.13,<0.14'
ENV UV_PROJECT_ENVIRONMENT=/opt/oms-es UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy
WORKDIR /build
# first what seldom changes
COPY pyproject.toml uv.lock ./
RUN uv sync --locked --no-dev --no-install-project --compile-bytecode
COPY README.md LICENSE ./
COPY src ./src
RUN uv sync --locked --no-dev --no-editable --compile-bytecode

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent oms
COPY --from=build /opt/oms-es /opt/oms-es
ENV PATH=/opt/oms-es/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    OMS_LOG_STYLE=json \
    OMS_METRICS_HOST=0.0.0.0 \
    OMS_METRICS_PORT=9464
USER oms
EXPOSE 9464
# stuck, not merely waiting: a worker without brokers is alive
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=4 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9464/livez', timeout=4)"]
ENTRYPOINT ["oms-es"]
