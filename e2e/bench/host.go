package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// host describes what the figures hold for.
func host() string {
	var name unix.Utsname
	kernel := "unknown"
	if unix.Uname(&name) == nil {
		kernel = unix.ByteSliceToString(name.Release[:])
	}
	var info unix.Sysinfo_t
	_ = unix.Sysinfo(&info)
	model := ""
	cpuinfo, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(cpuinfo)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			model = " (" + strings.TrimSpace(value) + ")"
		}
	}
	return fmt.Sprintf("%d CPUs%s, %.0f GiB of memory, Linux %s", runtime.NumCPU(), model,
		float64(info.Totalram)*float64(info.Unit)/(1<<30), kernel)
}
