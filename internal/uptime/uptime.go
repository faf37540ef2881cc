// Package uptime is a clock for how long things last.
package uptime

import (
	"time"

	"golang.org/x/sys/unix"
)

// Now is the time since boot, of which the time that the computer slept is a part and no change of its clock is.
func Now() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic(err) // Linux has it since 2.6.39
	}
	return time.Duration(t.Nano())
}
