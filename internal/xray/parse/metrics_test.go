package parse

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// histogram is one of etcd's metrics with counts by upper bound.
func histogram(name string, count string, buckets ...string) string {
	out := "# HELP " + name + " latency.\n# TYPE " + name + " histogram\n"
	for _, b := range buckets {
		bound, n, _ := strings.Cut(b, "=")
		out += name + "_bucket{le=\"" + bound + "\"} " + n + "\n"
	}
	return out + name + "_sum 1\n" + name + "_count " + count + "\n"
}

func TestEtcdMetrics(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       evidence.Etcd
	}{
		{"nothing", "", evidence.Etcd{}},
		{"all", histogram(fsyncMetric, "200", "0.001=100", "0.002=198", "0.004=200", "+Inf=200") +
			histogram(commitMetric, "10", "0.008=9", "0.016=10", "+Inf=10") +
			"# TYPE " + quotaMetric + " gauge\n" + quotaMetric + " 2.147483648e+09\n# TYPE " + inUseMetric + " gauge\n" + inUseMetric + " 20480",
			evidence.Etcd{FsyncP99: 2 * time.Millisecond, CommitP99: 16 * time.Millisecond, Quota: 2147483648, DBInUse: 20480}},
		{"just below", histogram(fsyncMetric, "200", "0.001=197", "0.002=200", "+Inf=200"), evidence.Etcd{FsyncP99: 2 * time.Millisecond}},
		{"beyond the buckets", histogram(fsyncMetric, "100", "0.001=1", "8.192=2", "+Inf=100"), evidence.Etcd{FsyncP99: 8192 * time.Millisecond}},
		{"nothing counted", histogram(fsyncMetric, "0", "0.001=0", "+Inf=0"), evidence.Etcd{}},
		{"without types", quotaMetric + " 5\n", evidence.Etcd{Quota: 5}},
		{"no number", quotaMetric + " NaN\n" + inUseMetric + " +Inf\n", evidence.Etcd{}},
		{"huge", quotaMetric + " 1e300\n" + histogram(fsyncMetric, "1", "1e300=1", "+Inf=1"), evidence.Etcd{}},
		{"others", "go_goroutines 5\n", evidence.Etcd{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var e evidence.Etcd
			if err := EtcdMetrics(tt.text, &e); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, e); diff != "" {
				t.Error(diff)
			}
		})
	}
	e := evidence.Etcd{DBInUse: 7}
	if err := EtcdMetrics(inUseMetric+" 9\n", &e); err != nil || e.DBInUse != 7 {
		t.Errorf("%d %v: what the status said counts", e.DBInUse, err)
	}
	if err := EtcdMetrics("<html>", &e); err == nil || !strings.HasPrefix(err.Error(), "not metrics") {
		t.Error(err)
	}
}

func FuzzEtcdMetrics(f *testing.F) {
	f.Add(histogram(fsyncMetric, "200", "0.001=100", "NaN=198", "-Inf=200", "+Inf=200"))
	f.Add(quotaMetric + " 1e999\n" + commitMetric + "{a=\"\\")
	f.Add("# TYPE " + fsyncMetric + " summary\n" + fsyncMetric + "{quantile=\"x\"} 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		var e evidence.Etcd
		_ = EtcdMetrics(text, &e) // an error is as good as none
		if e.FsyncP99 < 0 || e.CommitP99 < 0 || e.Quota < 0 || e.DBInUse < 0 {
			t.Errorf("%+v", e)
		}
	})
}
