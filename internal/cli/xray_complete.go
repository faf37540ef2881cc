package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/xray"
	"github.com/haplane/haplane/internal/xray/collect"
	"github.com/haplane/haplane/spec"
)

// Values of flags.
var (
	outputs = []string{"text", "json", "junit", "sarif", "html"}
	colors  = []string{"auto", "always", "never"}
)

func identities() []string {
	return []string{string(spec.Shared), string(spec.PerNode), string(spec.SharedCertificate)}
}

func checkIDs() []string {
	var out []string
	for _, c := range xray.Catalogue() {
		out = append(out, c.ID)
	}
	return out
}

// complete says what the values of a flag may be. Files never are.
func (x *xrayRun) complete(cmd *cobra.Command, flag string, values func(word string) []string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
		return values(word), cobra.ShellCompDirectiveNoFileComp
	})
}

func words(values ...string) func(string) []string {
	return func(string) []string { return values }
}

// completeChecks completes with IDs and titles: of a list, what follows the last comma.
func completeChecks(list bool) func(word string) []string {
	return func(word string) []string {
		before := ""
		if i := strings.LastIndex(word, ","); list && i >= 0 {
			before = word[:i+1]
		}
		var out []string
		for _, c := range xray.Catalogue() {
			if !strings.Contains(","+before, ","+c.ID+",") {
				out = append(out, cobra.CompletionWithDesc(before+c.ID, c.Title))
			}
		}
		return out
	}
}

func (x *xrayRun) contexts(string) []string { return collect.Kubeconfig{Path: x.kubeconfig}.Contexts() }
