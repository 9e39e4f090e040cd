# The agent's image for windows/amd64, built on Linux: `docker buildx bake agent`.
#
# It holds one file. As a HostProcess container it runs it on the node itself, so that the base image
# has no Windows in it and fits every build of Windows.
ARG BASE=mcr.microsoft.com/oss/kubernetes/windows-host-process-containers-base-image:v1.0.0

FROM --platform=$BUILDPLATFORM docker.io/library/rust:1.95-bookworm AS build
ARG CARGO_AUDITABLE=0.7.7
RUN apt-get update \
    && apt-get install --no-install-recommends --yes gcc-mingw-w64-x86-64 \
    && rm -rf /var/lib/apt/lists/* \
    && rustup target add x86_64-pc-windows-gnu \
    && cargo install --locked --version "$CARGO_AUDITABLE" cargo-auditable
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,id=target-windows \
    cargo auditable build --locked --release --package hcs-operator --target x86_64-pc-windows-gnu \
    && cp target/x86_64-pc-windows-gnu/release/hcs-operator.exe /

FROM $BASE
# The base image sets none.
ENV PATH="C:\Windows\system32;C:\Windows"
COPY --from=build /hcs-operator.exe /hcs-operator.exe
ENTRYPOINT ["hcs-operator.exe"]
