package kubeprobe

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/probe"
)

// A line is what `web probe` prints (components/workload/web/probe.go). Every request
// that was due before Until is in it or in an earlier one. Times are in microseconds.
type line struct {
	Until   int64 `json:"until"`
	Samples []struct {
		Due      int64  `json:"due"`
		Took     int64  `json:"took"`
		Deferred int    `json:"deferred"`
		Error    string `json:"error"`
	} `json:"samples"`
}

// samples reads a log, whose last line may be cut short.
func samples(log string) (out []probe.Sample, until int64, err error) {
	whole := log[:strings.LastIndex(log, "\n")+1]
	for text := range strings.Lines(whole) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			return out, until, fmt.Errorf("read %q: %w", strings.TrimSpace(text), err)
		}
		until = l.Until
		for _, s := range l.Samples {
			sample := probe.Sample{Due: time.UnixMicro(s.Due), Took: time.Duration(s.Took) * time.Microsecond, Deferred: s.Deferred}
			if s.Error != "" {
				sample.Err = errors.New(s.Error)
			}
			out = append(out, sample)
		}
	}
	return out, until, nil
}
