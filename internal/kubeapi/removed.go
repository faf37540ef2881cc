package kubeapi

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A DeprecatedAPI is one that clients have asked for and that some release removes.
type DeprecatedAPI struct {
	Resource string // such as flowschemas.v1beta3.flowcontrol.apiserver.k8s.io
	Removed  string // the minor version that does not have it any more: 1.37
}

// DeprecatedAPIs asks one API server which deprecated APIs clients have asked it for since it started, by its
// metric apiserver_requested_deprecated_apis; only those of which it knows the release that removes them.
func (c *Client) DeprecatedAPIs(ctx context.Context) ([]DeprecatedAPI, error) {
	body, err := c.typed.Discovery().RESTClient().Get().AbsPath("/metrics").Do(ctx).Raw()
	if err != nil {
		return nil, c.errorf("read metrics", err)
	}
	return deprecatedIn(body), nil
}

var label = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)

func deprecatedIn(metrics []byte) []DeprecatedAPI {
	var out []DeprecatedAPI
	lines := bufio.NewScanner(bytes.NewReader(metrics))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "apiserver_requested_deprecated_apis{") {
			continue
		}
		labels := map[string]string{}
		for _, l := range label.FindAllStringSubmatch(lines.Text(), -1) {
			labels[l[1]] = l[2]
		}
		name := labels["resource"]
		if sub := labels["subresource"]; sub != "" {
			name += "/" + sub
		}
		one := DeprecatedAPI{Resource: strings.TrimSuffix(fmt.Sprintf("%s.%s.%s", name, labels["version"], labels["group"]), "."), Removed: labels["removed_release"]}
		if one.Removed != "" && !slices.Contains(out, one) {
			out = append(out, one)
		}
	}
	return out
}
