#!/usr/bin/env bash
# Makes a release in dist/: programs, SBOMs, the chart, one file of manifests, checksums. Nothing leaves the machine
# without --push, which also builds and pushes images and chart. docs/release.md says what each step needs.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
export REGISTRY=${REGISTRY:-registry.hcs-operator.dev} VERSION=$version
windows=x86_64-pc-windows-gnu

die() { echo "error: $*" >&2; exit 1; }
needs() { command -v "$1" > /dev/null || die "$1 is not on PATH: $2"; }

push=no
case ${1:-} in
  '') ;;
  --push) push=yes ;;
  *) die "usage: images/release.sh [--push]" ;;
esac
needs helm "see tests/helm"
needs kubectl "see tests/control-plane"
needs cargo-auditable "cargo install --locked cargo-auditable"
needs cargo-cyclonedx "cargo install --locked cargo-cyclonedx"
needs rust-audit-info "cargo install --locked rust-audit-info"
if [ $push = yes ]; then
  needs docker "with buildx"
  [ -z "$(git status --porcelain)" ] || die "there are changes that are not committed"
  grep -q "^## \[$version\]" CHANGELOG.md || die "CHANGELOG.md has no section [$version]"
fi

# publish COMMAND: only with --push.
publish() {
  if [ $push = yes ]; then "$@"; else echo "not without --push: $*"; fi
}

rm -rf dist
mkdir -p dist

echo "== programs, with what they are made of inside"
cargo auditable build --locked --release --package hcs-operator
cp target/release/hcs-operator dist/hcs-operator-linux-amd64
# With rustup's standard library, or else with the distribution's cargo and the sources of its own (docs/windows.md).
built=
if rustup target list --installed 2> /dev/null | grep -q "^$windows$"; then
  cargo auditable build --locked --release --package hcs-operator --target $windows
  built=target
elif [ -x /usr/bin/cargo ] && [ -d /usr/lib/rustlib/src/rust/library ]; then
  PATH=/usr/bin:$PATH RUSTC_BOOTSTRAP=1 cargo auditable build --locked --release --package hcs-operator \
    --target $windows -Zbuild-std=std,panic_abort --target-dir target/windows
  built=target/windows
else
  echo "!!! no Rust for $windows: dist/ has no program for Windows (the image's build brings its own)"
fi
[ -z "$built" ] || cp "$built/$windows/release/hcs-operator.exe" dist/hcs-operator-windows-amd64.exe
for program in dist/*; do
  crates=$(rust-audit-info "$program" | grep -o '"name"' | wc -l)
  [ "$crates" -gt 100 ] || die "$program does not say what it is made of"
  echo "$program: $crates crates"
done

echo "== SBOMs"
for target in x86_64-unknown-linux-gnu $windows; do
  cargo cyclonedx --manifest-path controller/Cargo.toml --format json --target $target --override-filename sbom-$target
  mv controller/sbom-$target.json dist/hcs-operator-$target.cdx.json
done
# It writes one for each member of the workspace.
git clean --quiet --force -- '*/sbom-*.json'

echo "== chart and manifests"
helm lint --strict charts/hcs-operator
helm package charts/hcs-operator --destination dist
kubectl kustomize manifests > dist/hcs-operator.yaml

(cd dist && sha256sum -- * > SHA256SUMS && cat SHA256SUMS)

echo "== images, each with its SBOM and provenance, and the chart"
publish docker buildx bake --push --metadata-file dist/images.json
publish helm push "dist/hcs-operator-$version.tgz" "oci://$REGISTRY/charts"
