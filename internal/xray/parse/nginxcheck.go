package parse

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// nginx's defaults in stream.
const (
	nginxConnectTimeout = time.Minute
	nginxProxyTimeout   = 10 * time.Minute
	nginxMaxFails       = 1
)

// nginxCheck is an active check.
func nginxCheck(d directive) evidence.HealthCheck {
	out := evidence.HealthCheck{Kind: "tcp", Interval: 5 * time.Second, Fall: 1, Rise: 1}
	for _, option := range d.words[1:] {
		key, value, _ := strings.Cut(option, "=")
		n, err := strconv.Atoi(value)
		switch {
		case key == "interval":
			out.Interval = nginxTime(value, out.Interval)
		case key == "fails" && err == nil:
			out.Fall = n
		case key == "passes" && err == nil:
			out.Rise = n
		}
	}
	return out
}

func nginxListen(text string) string {
	if _, err := strconv.Atoi(text); err == nil {
		return ":" + text
	}
	if bound := bindAddresses(text); len(bound) > 0 {
		return bound[0]
	}
	return text
}

var nginxUnits = map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "": time.Second, "m": time.Minute, "h": time.Hour,
	"d": day, "w": 7 * day, "M": 30 * day, "y": 365 * day}

// nginxTime reads 10m, 1h30m, 90: seconds without a unit.
func nginxTime(text string, otherwise time.Duration) time.Duration {
	var total time.Duration
	for rest := text; rest != ""; {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.ParseInt(rest[:digits], 10, 32)
		rest = rest[digits:]
		letters := len(rest) - len(strings.TrimLeft(rest, "msMhdwy"))
		if digits == 0 || err != nil {
			return otherwise
		}
		unit, ok := nginxUnits[rest[:letters]]
		if !ok || n > int64(math.MaxInt64/2/unit) || total > Forever/2 {
			return otherwise
		}
		total += time.Duration(n) * unit
		rest = strings.TrimLeft(rest[letters:], " ")
	}
	if text == "" {
		return otherwise
	}
	return total
}
