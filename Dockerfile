# Two images from one file: `docker build --target panel .` and `docker build --target agent .`
FROM python:3.13-slim-trixie AS base
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
COPY requirements.txt setup.cfg pyproject.toml README.md ./
COPY protos protos
COPY panel panel
COPY agent agent
# Installed in place, because templates, static files and migrations are read from the tree.
RUN pip install --constraint requirements.txt --editable . \
 && useradd --system --uid 7800 --home-dir /var/lib/waypost --create-home waypost

FROM base AS panel
COPY wsgi.py ./
COPY templates templates
COPY static static
COPY migrations migrations
ENV PANEL_STATE_DIR=/var/lib/waypost PANEL_HOST=0.0.0.0 PANEL_STREAM_HOST=0.0.0.0
USER waypost
VOLUME /var/lib/waypost
EXPOSE 7800 7801 7802
CMD ["sh", "-c", "flask --app wsgi db upgrade && exec python wsgi.py"]

# Agent and nginx in one container; they share its lifetime, as on any machine that runs `make agent`.
FROM base AS agent
RUN apt-get update && apt-get install -y --no-install-recommends nginx && rm -rf /var/lib/apt/lists/*
ENV AGENT_STATE_DIR=/var/lib/waypost/agent AGENT_HTTP_PORT=80 AGENT_HTTPS_PORT=443
VOLUME /var/lib/waypost
EXPOSE 80 443
STOPSIGNAL SIGTERM
CMD ["python", "-m", "panel.embedded.supervisor", "--agent-only", "--state", "/var/lib/waypost"]
