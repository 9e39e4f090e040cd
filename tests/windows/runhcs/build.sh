#!/bin/sh
# build.sh FILE
# Builds the real runhcs.exe of the release that go.mod pins.
set -eu
[ $# -eq 1 ] || { echo "usage: build.sh FILE" >&2; exit 2; }
case $1 in /*) out=$1 ;; *) out=$PWD/$1 ;; esac
cd "$(dirname "$0")"
GOOS=windows GOARCH=amd64 CGO_ENABLED=0 GOFLAGS='-buildvcs=false -mod=readonly' \
	go build -trimpath -ldflags='-s -w' -o "$out" github.com/Microsoft/hcsshim/cmd/runhcs
# Parts of the file that begin where pages do can be mapped; wine copies others, 12 MB at each call.
x86_64-w64-mingw32-objcopy --file-alignment 4096 "$out"
