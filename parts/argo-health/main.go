// Program argo-health reads Kubernetes objects as YAML or JSON from standard input and prints, for each, the
// health that Argo CD gives it, by Argo CD's own Lua VM.
//
//	argo-health [health.lua] < objects
//
// With a script, that script judges, as if it were configured for the kind; without one, Argo CD's built-in
// checks do. One JSON object a line: {"kind","name","status","message"}, status being Healthy, Progressing,
// Degraded, Suspended, Missing, Unknown or, for a kind without a check, "" (Argo CD then counts it as
// healthy). The exit code is 0 unless the input can't be read or the script fails.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/health"
	"github.com/argoproj/argo-cd/v3/util/lua"
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
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "argo-health:", err)
		os.Exit(2)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	script := ""
	if len(args) > 0 {
		text, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		script = string(text)
	}
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
		result, err := judge(object, script)
		if err != nil {
			return err
		} else if result == nil {
			result = &health.HealthStatus{}
		}
		err = lines.Encode(verdict{object.GetKind(), object.GetName(), string(result.Status), result.Message})
		if err != nil {
			return err
		}
	}
}

func judge(object *unstructured.Unstructured, script string) (*health.HealthStatus, error) {
	if script != "" {
		return lua.VM{}.ExecuteHealthLua(object, script)
	}
	return health.GetResourceHealth(object, lua.ResourceHealthOverrides{})
}

// decode gives nil for a document that holds nothing but comments.
func decode(document []byte) (*unstructured.Unstructured, error) {
	text, err := yaml.ToJSON(document)
	if err != nil || string(text) == "null" {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	// UnmarshalJSON of the type itself keeps generations as int64.
	return object, object.UnmarshalJSON(text)
}
