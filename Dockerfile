# The operator's image:   docker build -t REGISTRY/channelbeat:0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" .
#
# Both bases need `python3`, of one minor version; BUILD_BASE needs pip, too. Pin them by digest where the build must give the same twice.
# An index of your own: --secret id=pip,src=pip.conf
ARG BASE=python:3.11-slim
ARG BUILD_BASE=${BASE}

FROM ${BUILD_BASE} AS build
# How the final base calls its Python; one without /usr/bin/env needs the path itself.
ARG PYTHON="/usr/bin/env python3"
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
COPY requirements/build.txt requirements/operator.txt requirements/
RUN --mount=type=secret,id=pip,target=/etc/pip.conf,required=false \
    python3 -m pip install --quiet --require-hashes --only-binary :all: --no-compile --target tools -r requirements/build.txt && \
    python3 -m pip install --quiet --require-hashes --only-binary :all: --no-compile --target /opt/channelbeat -r requirements/operator.txt
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
# The script is ours, since pip's would name the interpreter of this stage. What is compiled here is never looked at again: the image is read only.
RUN PYTHONPATH=tools python3 -m hatchling build -t wheel -d dist && \
    python3 -m pip install --quiet --no-index --no-deps --no-compile --target /opt/channelbeat dist/*.whl && \
    rm -rf /opt/channelbeat/bin && mkdir /opt/channelbeat/bin && \
    printf '#!%s\nfrom channelbeat.cli import main\n\nmain()\n' "${PYTHON}" > /opt/channelbeat/bin/channelbeat && \
    chmod 755 /opt/channelbeat/bin/channelbeat && \
    python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/channelbeat

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="channelbeat" \
      org.opencontainers.image.description="Operator: typed events for Django Channels, on time, each enqueued exactly once" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/channelbeat /opt/channelbeat
# No user of that number is in the base's files: HOME and LOGNAME answer for it.
ENV PATH=/opt/channelbeat/bin:/usr/local/bin:/usr/bin:/bin PYTHONPATH=/opt/channelbeat \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp LOGNAME=channelbeat
USER 65532:65532
WORKDIR /tmp
# Another Python than the first stage's, or one without its standard library, is noticed here.
RUN ["channelbeat", "--version"]
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["channelbeat"]
CMD ["operator", "--all-namespaces"]
