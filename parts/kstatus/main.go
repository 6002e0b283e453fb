// Program kstatus reads Kubernetes objects as YAML or JSON from standard input and prints, for each, what
// kstatus makes of its status: the library that Flux and Helm 4 wait with.
//
// One JSON object a line: {"kind","name","status","message"}, status being InProgress, Failed, Current,
// Terminating, NotFound or Unknown. The exit code is 0 unless the input can't be read.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

type verdict struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(2)
	}
}

func run(in io.Reader, out io.Writer) error {
	documents := yaml.NewYAMLReader(bufio.NewReader(in))
	lines := json.NewEncoder(out)
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		object, err := decode(document)
		if err != nil {
			return err
		} else if object == nil {
			continue
		}
		result, err := status.Compute(object)
		if err != nil {
			return err
		}
		err = lines.Encode(verdict{object.GetKind(), object.GetName(), string(result.Status), result.Message})
		if err != nil {
			return err
		}
	}
}

// decode gives nil for a document that holds nothing but comments.
func decode(document []byte) (*unstructured.Unstructured, error) {
	text, err := yaml.ToJSON(document)
	if err != nil || string(text) == "null" {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	// UnmarshalJSON of the type itself keeps generations as int64, which kstatus compares.
	return object, object.UnmarshalJSON(text)
}
