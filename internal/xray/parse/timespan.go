package parse

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Forever is a time span without an end.
const Forever = time.Duration(math.MaxInt64)

var spanPart = regexp.MustCompile(`^(\d+(?:\.\d*)?|\.\d+)\s*([a-zA-Zµμ]*)\s*`)

const (
	day   = 24 * time.Hour
	month = 30*day + 10*time.Hour + 30*time.Minute // of systemd, a twelfth of its year
)

// units of systemd.time(7).
var spanUnits = map[string]time.Duration{
	"nsec": time.Nanosecond, "ns": time.Nanosecond,
	"usec": time.Microsecond, "us": time.Microsecond, "µs": time.Microsecond, "μs": time.Microsecond,
	"msec": time.Millisecond, "ms": time.Millisecond,
	"": time.Second, "seconds": time.Second, "second": time.Second, "sec": time.Second, "s": time.Second,
	"minutes": time.Minute, "minute": time.Minute, "min": time.Minute, "m": time.Minute,
	"hours": time.Hour, "hour": time.Hour, "hr": time.Hour, "h": time.Hour,
	"days": day, "day": day, "d": day,
	"weeks": 7 * day, "week": 7 * day, "w": 7 * day,
	"months": month, "month": month, "M": month,
	"years": 365*day + 6*time.Hour, "year": 365*day + 6*time.Hour, "y": 365*day + 6*time.Hour,
}

// TimeSpan reads a time span of systemd: 90, 1min 30s, infinity. Without a unit a
// number is in seconds. 0 is a span of nothing.
func TimeSpan(text string) (time.Duration, error) {
	text = strings.TrimSpace(text)
	if text == "infinity" {
		return Forever, nil
	}
	if text == "" {
		return 0, fmt.Errorf("empty time span")
	}
	var total float64
	for rest := text; rest != ""; {
		m := spanPart.FindStringSubmatch(rest)
		if m == nil {
			return 0, fmt.Errorf("%q is not a time span", text)
		}
		unit, ok := spanUnits[m[2]]
		if !ok {
			return 0, fmt.Errorf("%q is not a time span: unit %q", text, m[2])
		}
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return 0, fmt.Errorf("%q is not a time span: %w", text, err)
		}
		total += n * float64(unit)
		rest = rest[len(m[0]):]
	}
	if total >= float64(Forever) {
		return Forever, nil
	}
	return time.Duration(total), nil
}
