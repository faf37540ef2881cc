package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"
)

// kubePrograms are those that a folder of ready-made programs has to have for kubectl. In
// scripts they are this test, which does as if.
var kubePrograms = []string{"kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubeadm", "kubectl", "kubelet"}

// linkPrograms is the script command `programs FOLDER`, which fills one with them.
func linkPrograms(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.Mkdir(ts.MkAbs(args[0]), 0o755))
	for _, name := range kubePrograms {
		bin := filepath.SplitList(ts.Getenv("PATH"))[0] // of testscript.Main
		ts.Check(os.Symlink(filepath.Join(bin, name), filepath.Join(ts.MkAbs(args[0]), name)))
	}
}

// fakeProgram tells its version and, as kubectl, whose it is and its arguments.
func fakeProgram(name string, args []string) {
	switch {
	case name == "kubeadm":
		fmt.Println("v1.37.2")
	case name != "kubectl":
		fmt.Println("Kubernetes v1.37.2")
	case len(args) > 0 && args[0] == "version":
		fmt.Println("Client Version: v1.37.2")
	case len(args) > 0 && args[0] == "fail":
		os.Exit(3)
	case len(args) > 0 && args[0] == "__complete":
		fmt.Fprintln(os.Stderr, "it speaks")
		fmt.Printf("pods\tof %s: %s\n:4\n", fakeContext(), strings.Join(args[1:], " "))
	default:
		fmt.Println(append([]string{fakeContext()}, args...))
	}
	os.Exit(0)
}

func fakeContext() string {
	config, err := clientcmd.LoadFromFile(os.Getenv("KUBECONFIG"))
	if err != nil {
		return err.Error()
	}
	return config.CurrentContext
}

func TestCompletionsOfKubectl(t *testing.T) {
	for name, test := range map[string]struct {
		said      string
		want      []string
		directive cobra.ShellCompDirective
	}{
		"some":           {"a\tdescribed\nb\n:4\n", []string{"a\tdescribed", "b"}, cobra.ShellCompDirectiveNoFileComp},
		"none":           {":0\n", []string{}, cobra.ShellCompDirectiveDefault},
		"nothing at all": {"", nil, cobra.ShellCompDirectiveError},
		"no directive":   {"a\nb\n", nil, cobra.ShellCompDirectiveError},
	} {
		got, directive := completions([]byte(test.said))
		if diff := cmp.Diff(test.want, got); diff != "" || directive != test.directive {
			t.Errorf("%s: directive %d\n%s", name, directive, diff)
		}
	}
}
