# One image for all four services; docker-compose.yml says which one a container runs.
ARG BASE=python:3.11-slim

FROM ${BASE}
# slirp4netns gives functions the outside world under TIDEMILL_NETWORK=internet.
RUN apt-get update \
    && apt-get install -y --no-install-recommends curl slirp4netns \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home --home-dir /home/tidemill tidemill \
    && install -d -o tidemill -g tidemill /data
WORKDIR /app
# All wheels, nothing is compiled: a second stage would save nothing.
COPY requirements/runtime.txt requirements/runtime.txt
RUN python3 -m venv .venv \
    && .venv/bin/python -m pip install --no-cache-dir --require-hashes -r requirements/runtime.txt
# The real Node.js 16 and 18.
COPY requirements/node requirements/node
RUN .venv/bin/python requirements/node/install.py
COPY shared shared
COPY services services
ENV PATH=/app/.venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    TIDEMILL_DATA_DIR=/data \
    TIDEMILL_HOST=0.0.0.0
RUN PYTHONDONTWRITEBYTECODE= python -m compileall -q shared services
# By number: needs no look-up, and Kubernetes' runAsNonRoot can see that it is not root.
USER 1000:1000
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
# Without a command: everything in one process. It needs the invoker's security options of docker-compose.yml.
CMD ["python", "-m", "services", "up"]
