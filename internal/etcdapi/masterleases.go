package etcdapi

import (
	"context"
	"fmt"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// MasterLeases are the addresses that API servers with the lease reconciler have written below
// the prefix, /registry by default: whatever is there becomes an endpoint of default/kubernetes. A key
// goes when its API server stops in order, and 15 s after its last word otherwise.
func (c *Client) MasterLeases(ctx context.Context, prefix string) ([]string, error) {
	prefix = "/" + strings.Trim(prefix, "/") + "/masterleases/"
	response, err := c.etcd.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return nil, fmt.Errorf("list %s in etcd: %w", prefix, err)
	}
	out := []string{}
	for _, kv := range response.Kvs {
		out = append(out, strings.TrimPrefix(string(kv.Key), prefix))
	}
	slices.Sort(out)
	return out, nil
}
