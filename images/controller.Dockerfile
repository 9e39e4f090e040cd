# The controller's image for linux/amd64 and linux/arm64: `docker buildx bake controller`. For another
# architecture than the builder's, buildx needs an emulator or a builder of that kind.
#
# With glibc, as the tests run it: the base image has that, certificates, and no shell.
ARG BASE=gcr.io/distroless/cc-debian12:nonroot

FROM docker.io/library/rust:1.95-bookworm AS build
ARG CARGO_AUDITABLE=0.7.7
RUN cargo install --locked --version "$CARGO_AUDITABLE" cargo-auditable
WORKDIR /src
COPY . .
ARG TARGETARCH
RUN --mount=type=cache,target=/usr/local/cargo/registry,id=registry-$TARGETARCH \
    --mount=type=cache,target=/src/target,id=target-$TARGETARCH \
    cargo auditable build --locked --release --package hcs-operator \
    && cp target/release/hcs-operator /

FROM $BASE
COPY --from=build /hcs-operator /usr/local/bin/hcs-operator
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/hcs-operator"]
CMD ["controller"]
