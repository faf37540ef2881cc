package parse

import (
	"os"
	"strings"
	"testing"
)

// golden is a file of a machine as haplane renders it: the healthy fixture of most
// parsers.
func golden(t testing.TB, machine, path string) string {
	t.Helper()
	all, err := os.ReadFile("../../render/testdata/" + machine + ".golden")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut("\n"+string(all), "\n==> "+path+" ")
	if !ok {
		t.Fatalf("%s has no %s", machine, path)
	}
	_, after, _ = strings.Cut(after, "\n")
	text, _, _ := strings.Cut(after, "\n==> ")
	return text
}

// testdata is a file of testdata.
func testdata(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
