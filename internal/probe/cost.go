package probe

import (
	"syscall"
	"time"
)

// cpu is the time that this process has spent on CPUs.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func cost(spent, elapsed time.Duration, requests int) Cost {
	seconds := max(elapsed.Seconds(), 0.001)
	return Cost{CPUSeconds: round(spent.Seconds()), CPUShare: round(spent.Seconds() / seconds),
		RequestsPerSecond: round(float64(requests) / seconds)}
}

// round keeps three digits after the point.
func round(f float64) float64 { return float64(int64(f*1000+0.5)) / 1000 }
