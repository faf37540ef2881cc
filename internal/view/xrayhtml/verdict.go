package xrayhtml

import (
	"fmt"
	"strconv"

	"github.com/haplane/haplane/internal/xray"
)

// verdict is the number of tolerated failures as it is shown, and its tone: that of
// the worst that was found.
func verdict(v xray.Verdict) (number, tone string) {
	n := v.ToleratedFailures
	switch {
	case n == nil:
		number = "?"
	case *n < 0:
		number = "–"
	default:
		number = strconv.Itoa(*n)
	}
	switch {
	case v.Counts[xray.Fail] > 0 || n != nil && *n < 0:
		tone = "fail"
	case v.Counts[xray.Error] > 0 || v.Counts[xray.Warn] > 0 || n == nil || *n == 0:
		tone = "warn"
	default:
		tone = "pass"
	}
	return number, tone
}

// A share is how many failures a kind of part bears.
type share struct{ Name, Text string }

// Shares are the parts of the verdict, in the order of the picture.
func (p page) Shares() []share {
	var out []share
	for _, s := range []share{{Name: "loadBalancers"}, {Name: "apiServers"}, {Name: "etcdMembers"}} {
		if n, known := p.Report.Verdict.Tolerated[s.Name]; known {
			text := strconv.Itoa(n)
			if n < 0 {
				text = fmt.Sprintf("%d too few", -n)
			}
			out = append(out, share{shareNames[s.Name], text})
		}
	}
	return out
}

var shareNames = map[string]string{"loadBalancers": "load balancers", "apiServers": "API servers", "etcdMembers": "etcd members"}
