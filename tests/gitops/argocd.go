package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A script has that long in Argo CD (util/lua/lua.go).
const deadline = time.Second

// health runs the script for the object's kind, as Argo CD does it: an object that is being deleted is Progressing
// before any script is asked (gitops-engine, pkg/health/health.go). A script from argocd-cm has the libraries package,
// base, table and a part of os, and nothing else, least of all string; this gives it the first three.
func health(customizations string, object *unstructured.Unstructured) (Said, error) {
	if object.GetDeletionTimestamp() != nil {
		return Said{"Progressing", "Pending deletion"}, nil
	}
	kind := object.GroupVersionKind()
	script, err := os.ReadFile(filepath.Join(customizations, kind.Group, kind.Kind, "health.lua"))
	if err != nil {
		return Said{}, err
	}
	machine := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer machine.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
	} {
		call := lua.P{Fn: machine.NewFunction(open), Protect: true}
		if err := machine.CallByParam(call, lua.LString(name)); err != nil {
			return Said{}, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	machine.SetContext(ctx)
	machine.SetGlobal("obj", value(machine, object.Object))
	if err := machine.DoString(string(script)); err != nil {
		return Said{}, err
	}
	return result(machine.Get(-1))
}

// result takes what a script returned; Argo CD takes no other than these words (isValidHealthStatusCode).
func result(returned lua.LValue) (Said, error) {
	table, ok := returned.(*lua.LTable)
	if !ok {
		return Said{}, fmt.Errorf("it returned a %s, not a table", returned.Type())
	}
	said := Said{lua.LVAsString(table.RawGetString("status")), lua.LVAsString(table.RawGetString("message"))}
	switch said.Status {
	case "Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown":
		return said, nil
	}
	return said, fmt.Errorf("it returned the status %q", said.Status)
}

// value makes a Lua value of one that was read from JSON.
func value(machine *lua.LState, from any) lua.LValue {
	switch from := from.(type) {
	case nil:
		return lua.LNil
	case bool:
		return lua.LBool(from)
	case string:
		return lua.LString(from)
	case int64:
		return lua.LNumber(from)
	case float64:
		return lua.LNumber(from)
	case []any:
		table := machine.CreateTable(len(from), 0)
		for _, item := range from {
			table.Append(value(machine, item))
		}
		return table
	case map[string]any:
		table := machine.CreateTable(0, len(from))
		for key, item := range from {
			table.RawSetString(key, value(machine, item))
		}
		return table
	}
	panic(fmt.Sprintf("a %T is not read from JSON", from))
}
