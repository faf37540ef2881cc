package parse

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// Metrics of etcd that EtcdMetrics reads.
const (
	fsyncMetric  = "etcd_disk_wal_fsync_duration_seconds"
	commitMetric = "etcd_disk_backend_commit_duration_seconds"
	quotaMetric  = "etcd_server_quota_backend_bytes"
	inUseMetric  = "etcd_mvcc_db_total_size_in_use_in_bytes"
)

// EtcdMetrics puts what Prometheus would read of a member into e.
func EtcdMetrics(text string, e *evidence.Etcd) error {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(withoutOthers(text)))
	if err != nil {
		return fmt.Errorf("not metrics: %w", err)
	}
	e.FsyncP99, e.CommitP99 = p99(families[fsyncMetric]), p99(families[commitMetric])
	if n := gauge(families[quotaMetric]); n > 0 {
		e.Quota = n
	}
	if n := gauge(families[inUseMetric]); n > 0 && e.DBInUse == 0 {
		e.DBInUse = n
	}
	return nil
}

// withoutOthers leaves lines of other metrics out: there are a thousand.
func withoutOthers(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		about := strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE ")
		metric := about[0] >= 'a' && about[0] <= 'z'
		if !metric || slices.ContainsFunc(etcdMetrics, func(name string) bool { return strings.HasPrefix(about, name) }) {
			out.WriteString(line)
		}
	}
	return out.String() + "\n"
}

var etcdMetrics = []string{fsyncMetric, commitMetric, quotaMetric, inUseMetric}

func gauge(family *dto.MetricFamily) int64 {
	for _, m := range family.GetMetric() {
		n := m.GetGauge().GetValue() + m.GetUntyped().GetValue()
		if n > 0 && n < math.MaxInt64 {
			return int64(n)
		}
	}
	return 0
}

// p99 is the upper bound of the bucket that has the 99th percentile; 0 where
// nothing was counted. In the last bucket it is the bound of the one before, as
// Prometheus has it.
func p99(family *dto.MetricFamily) time.Duration {
	for _, m := range family.GetMetric() {
		h := m.GetHistogram()
		last := 0.0
		for _, b := range h.GetBucket() {
			if !math.IsInf(b.GetUpperBound(), 0) {
				last = b.GetUpperBound()
			}
			if h.GetSampleCount() > 0 && float64(b.GetCumulativeCount()) >= 0.99*float64(h.GetSampleCount()) {
				break
			}
		}
		if seconds := last * float64(time.Second); h.GetSampleCount() > 0 && seconds > 0 && seconds < float64(math.MaxInt64) {
			return time.Duration(math.Round(seconds))
		}
	}
	return 0
}
