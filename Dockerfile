# syntax=docker/dockerfile:1
# Two stages: wheels are installed in the first, the second keeps only the environment and the
# model. Nothing in the image runs as root, and nothing is downloaded when it runs.
#
#   docker build -t sightline .                           CPU
#   docker build -t sightline:gpu --build-arg FAISS=gpu . NVIDIA GPU (run with --gpus all)
#
# EXTRAS=,gallery adds the sample photos, so that `serve --gallery` works in the image.
# pip's own settings are passed through: with PIP_EXTRA_INDEX_URL set to PyTorch's list of CPU
# wheels, the CPU image is some gigabytes smaller.

ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim AS build
ARG FAISS=cpu
ARG EXTRAS=
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
RUN case "$FAISS" in cpu|gpu) ;; *) echo "FAISS=$FAISS: expected cpu or gpu" >&2; exit 2;; esac
# For the scoring kernel. Without a compiler the image would build all the same, and score slower.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/sightline
WORKDIR /build
# Dependencies first: they change seldom, and the layer is kept while only code changes.
COPY pyproject.toml constraints.txt data-packages.txt ./
COPY client client
RUN python -c "import sys, tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
extras = [e for e in sys.argv[1].split(',') if e]; \
print('\n'.join(p['dependencies'] + [d for e in extras for d in p['optional-dependencies'][e]]))" \
        "${FAISS}${EXTRAS}" > requirements.txt \
    && /opt/sightline/bin/pip install --constraint constraints.txt --requirement requirements.txt ./client \
    && /opt/sightline/bin/pip install --no-deps --requirement data-packages.txt
COPY README.md LICENSE NOTICE setup.py ./
COPY model model
COPY index index
COPY service service
RUN /opt/sightline/bin/pip install --no-deps .

FROM python:${PYTHON_VERSION}-slim
LABEL org.opencontainers.image.title="Sightline" \
      org.opencontainers.image.description="Image-text retrieval service" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin sightline \
    && install --directory --owner=sightline --group=sightline --mode=0750 /data
COPY --from=build /opt/sightline /opt/sightline
COPY bundle /opt/sightline/bundle
COPY LICENSE NOTICE /opt/sightline/
# The container's port is published by whoever runs it; compose.yaml publishes it on loopback.
ENV PATH=/opt/sightline/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SIGHTLINE_BUNDLE=/opt/sightline/bundle \
    SIGHTLINE_DATA_DIR=/data \
    SIGHTLINE_HOST=0.0.0.0 \
    SIGHTLINE_PORT=8000 \
    SIGHTLINE_ALLOW_OPEN_NETWORK=true \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER sightline
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['SIGHTLINE_PORT'] + '/readyz', timeout=4)"]
ENTRYPOINT ["sightline"]
CMD ["serve"]
