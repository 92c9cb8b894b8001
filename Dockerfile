# Two images from one file: `docker build --target panel .` and `docker build --target agent .`
# Another Debian or the official Python image will do: --build-arg BASE=python:3.13-slim-trixie
ARG BASE=debian:trixie-slim

FROM ${BASE} AS base
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PATH=/opt/waypost/bin:$PATH
RUN command -v python3 > /dev/null || { apt-get update \
 && apt-get install -y --no-install-recommends python3 ca-certificates && apt-get clean && rm -rf /var/lib/apt/lists/*; }
RUN useradd --system --uid 7800 --home-dir /var/lib/waypost --create-home waypost \
 && install -d -o waypost -m 700 /var/lib/waypost/join
WORKDIR /app

# What is only needed to install stays in this stage. The packages are installed before the code is copied, so that a
# change of code does not install them again.
FROM base AS build
RUN python3 -c 'import ensurepip, venv' 2> /dev/null || { apt-get update \
 && apt-get install -y --no-install-recommends python3-venv; }
RUN python3 -m venv --without-pip /opt/waypost && python3 -m venv /opt/build
COPY requirements.txt setup.cfg ./
COPY panel/embedded/requirements.py ./

FROM build AS build-panel
RUN python3 requirements.py panel > direct.txt \
 && /opt/build/bin/pip --python /opt/waypost/bin/python install --no-cache-dir --disable-pip-version-check \
    --constraint requirements.txt --requirement direct.txt

FROM build AS build-agent
RUN python3 requirements.py agent > direct.txt \
 && /opt/build/bin/pip --python /opt/waypost/bin/python install --no-cache-dir --disable-pip-version-check \
    --constraint requirements.txt --requirement direct.txt

FROM base AS panel
LABEL org.opencontainers.image.title="Waypost panel" \
      org.opencontainers.image.description="Where people manage proxy hosts and certificates"
COPY --from=build-panel /opt/waypost /opt/waypost
COPY protos protos
COPY panel panel
COPY wsgi.py ./
COPY templates templates
COPY static static
COPY migrations migrations
ENV PANEL_STATE_DIR=/var/lib/waypost PANEL_HOST=0.0.0.0 PANEL_STREAM_HOST=0.0.0.0
USER waypost
VOLUME /var/lib/waypost
EXPOSE 7800 7801 7802
HEALTHCHECK --interval=3s --timeout=5s --start-period=60s \
    CMD ["python3", "-m", "panel.embedded.healthy"]
CMD ["sh", "-c", "flask --app wsgi db upgrade && exec python3 wsgi.py"]

# The agent is root in its container, because nginx's files, keys of certificates and Docker's socket are root's.
FROM base AS agent
LABEL org.opencontainers.image.title="Waypost agent" \
      org.opencontainers.image.description="Applies configuration to an nginx in another container, and renews certificates"
COPY --from=build-agent /opt/waypost /opt/waypost
COPY protos protos
COPY agent agent
ENV AGENT_STATE_DIR=/var/lib/waypost-agent AGENT_HTTP_PORT=80 AGENT_HTTPS_PORT=443 AGENT_NGINX_CONTAINER=nginx \
    LETSENCRYPT_DIR=/etc/letsencrypt TZ=UTC
VOLUME ["/var/lib/waypost-agent", "/etc/letsencrypt"]
STOPSIGNAL SIGTERM
# Healthy when nginx has something to start with; whether the panel is reached is the panel's to say.
HEALTHCHECK --interval=3s --timeout=5s --start-period=60s \
    CMD ["test", "-e", "/var/lib/waypost-agent/nginx/current/nginx.conf"]
CMD ["python3", "-m", "agent", "run"]
