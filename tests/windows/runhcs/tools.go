//go:build tools

// Package tools pins the runhcs that the Windows tests drive: this module
// exists only so that go.mod and go.sum say which sources runhcs.exe is made of.
package tools

import _ "github.com/Microsoft/hcsshim/cmd/runhcs"
