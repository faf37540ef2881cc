package component

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// sayer is a program that tells what is written behind it.
var sayer = sync.OnceValues(func() ([]byte, error) {
	const source = `package main

import ("os"; "strings")

func main() {
	data, _ := os.ReadFile("/proc/self/exe")
	println("it is " + string(data[strings.LastIndex(string(data), "\n")+1:]))
}
`
	dir, err := os.MkdirTemp("", "sayer")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(dir+"/main.go", []byte(source), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", dir+"/sayer", dir+"/main.go")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(dir + "/sayer")
})

// says is the content of a program that tells this version.
func says(t *testing.T, version string) []byte {
	t.Helper()
	data, err := sayer()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(data, []byte("\n"+version))
}

func put(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
}
