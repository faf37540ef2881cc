package etcdapi

import (
	"bytes"
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// page is how many keys are read at once.
const page = 200

// Unlike lists the keys below a prefix whose values do not begin as given. No value is kept.
func (c *Client) Unlike(ctx context.Context, prefix string, begin []byte) (unlike []string, all int, err error) {
	end := clientv3.GetPrefixRangeEnd(prefix)
	for from := prefix; ; {
		response, err := c.etcd.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(page))
		if err != nil {
			return nil, 0, fmt.Errorf("read %s from etcd: %w", prefix, err)
		}
		for _, kv := range response.Kvs {
			if all++; !bytes.HasPrefix(kv.Value, begin) {
				unlike = append(unlike, string(kv.Key))
			}
			from = string(kv.Key) + "\x00"
		}
		if !response.More {
			return unlike, all, nil
		}
	}
}
