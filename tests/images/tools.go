//go:build tools

// Package tools pins the builder that the images' tests run: this module exists only so that go.mod and go.sum say
// which sources buildkitd and buildx are made of.
package tools

import (
	_ "github.com/docker/buildx/cmd/buildx"
	_ "github.com/moby/buildkit/cmd/buildkitd"
)
