//go:build tools

// Package tools pins the Helm that the chart's tests run: this module exists
// only so that go.mod and go.sum say which sources helm is made of.
package tools

import _ "helm.sh/helm/v4/cmd/helm"
