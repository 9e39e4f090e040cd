// Command gitops says what GitOps tools make of objects. It reads objects as JSON lines, and writes for each one what
// kstatus, its fork in Flux, and Argo CD's health check would say of it, as a JSON line, too.
//
// The first two are the libraries themselves. Argo CD's check is the Lua script in the folder that -customizations
// names, run by the interpreter that Argo CD has, with what Argo CD gives to a script: see argocd.go.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	flux "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// Verdict is what is said of one object.
type Verdict struct {
	// Kstatus is that of sigs.k8s.io/cli-utils.
	Kstatus Said `json:"kstatus"`
	// Flux is that of Flux's fork of it.
	Flux Said `json:"flux"`
	// Argo is that of Argo CD.
	Argo Said `json:"argo"`
}

// Said is a status, in the tool's own words, and why.
type Said struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	customizations := flag.String("customizations", "", "a folder laid out as Argo CD's resource_customizations")
	flag.Parse()
	if err := run(*customizations, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "gitops:", err)
		os.Exit(1)
	}
}

func run(customizations string, in io.Reader, out io.Writer) error {
	decoder := json.NewDecoder(bufio.NewReader(in))
	encoder := json.NewEncoder(out)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("failed to read an object: %w", err)
		}
		verdict, err := judge(customizations, object)
		if err != nil {
			return fmt.Errorf("failed to judge %s: %w", object.GetName(), err)
		}
		if err := encoder.Encode(verdict); err != nil {
			return err
		}
	}
}

func judge(customizations string, object *unstructured.Unstructured) (Verdict, error) {
	kstatus, err := status.Compute(object)
	if err != nil {
		return Verdict{}, fmt.Errorf("kstatus: %w", err)
	}
	fork, err := flux.Compute(object)
	if err != nil {
		return Verdict{}, fmt.Errorf("Flux's kstatus: %w", err)
	}
	argo, err := health(customizations, object)
	if err != nil {
		return Verdict{}, fmt.Errorf("Argo CD's health check: %w", err)
	}
	return Verdict{
		Kstatus: Said{kstatus.Status.String(), kstatus.Message},
		Flux:    Said{fork.Status.String(), fork.Message},
		Argo:    argo,
	}, nil
}
