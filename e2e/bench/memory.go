package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/haplane/haplane/e2e/rig"
)

// A cluster is idle when what its start has brought about is over: settleTime
// after its up. It is part of what is measured, not a wait for anything.
const settleTime = time.Minute

const memoryTarget = 2 << 30

// A usage is what one program takes of the host's memory on all control-plane nodes.
type usage struct {
	program  string
	pss, rss int64 // bytes; see proc_pid_smaps_rollup(5)
}

// programs by the name that the kernel knows their processes by, cut off after
// 15 bytes. All others are the machine's own.
var programs = map[string]string{
	"kube-apiserver": "kube-apiserver", "etcd": "etcd", "kube-controller": "kube-controller-manager",
	"kube-scheduler": "kube-scheduler", "kubelet": "kubelet", "containerd": "containerd and its shims",
	"containerd-shim": "containerd and its shims", "kube-proxy": "kube-proxy", "flanneld": "flanneld",
	"haplane": "haplane agent", "coredns": "pods", "pause": "pods", "web": "pods",
}

const others = "systemd, sshd and others"

// memoryScript prints a line for each process and each kind of memory.
const memoryScript = `cd /proc; grep -H . [0-9]*/comm; grep -HE '^(Pss|Rss):' [0-9]*/smaps_rollup; true`

// measureMemory lets the cluster settle and sums up what its control-plane nodes take.
func measureMemory(ctx context.Context, c *rig.Cluster) ([]usage, error) {
	if err := settle(ctx); err != nil {
		return nil, err
	}
	status, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	var outputs []string
	for _, n := range status.Nodes {
		if n.Role != "control-plane" {
			continue
		}
		seen := c.SSH(ctx, n.Name, memoryScript)
		if err := ok(seen); err != nil {
			return nil, err
		}
		outputs = append(outputs, seen.Stdout)
	}
	if len(outputs) != 3 {
		return nil, fmt.Errorf("%d control-plane nodes, want 3", len(outputs))
	}
	return sumMemory(outputs)
}

func settle(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(settleTime):
		return nil
	}
}

// sumMemory reads what memoryScript prints on each machine; the largest comes first.
func sumMemory(outputs []string) ([]usage, error) {
	sums := map[string]*usage{}
	var out []usage
	for _, text := range outputs {
		names := map[string]string{}
		for line := range strings.Lines(text) {
			file, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			pid, file, _ := strings.Cut(file, "/")
			if file == "comm" {
				names[pid] = cmp.Or(programs[value], others)
				continue
			}
			kind, size, _ := strings.Cut(value, ":")
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(size), " kB"), 10, 64)
			if err != nil {
				return nil, fmt.Errorf("read memory: unexpected line %q", line)
			}
			program := cmp.Or(names[pid], others)
			if sums[program] == nil {
				sums[program] = &usage{program: program}
			}
			if kind == "Pss" {
				sums[program].pss += kib << 10
			} else {
				sums[program].rss += kib << 10
			}
		}
	}
	for _, u := range sums {
		out = append(out, *u)
	}
	slices.SortFunc(out, func(a, b usage) int { return cmp.Or(cmp.Compare(b.pss, a.pss), cmp.Compare(a.program, b.program)) })
	return out, nil
}

// printMemory writes a line for each program. Pages that several processes of the
// host share are divided among them in PSS, and counted for each of them in RSS.
func printMemory(w io.Writer, all []usage) error {
	if len(all) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintf(t, "IDLE MEMORY OF THREE CONTROL-PLANE NODES, %.0f S AFTER UP\tPSS\tRSS\tTARGET (PSS)\n", settleTime.Seconds())
	var sum usage
	for _, u := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\t\n", u.program, mib(u.pss), mib(u.rss))
		sum.pss, sum.rss = sum.pss+u.pss, sum.rss+u.rss
	}
	fmt.Fprintf(t, "all\t%s\t%s\tat most %s\n\t\t\t\n", mib(sum.pss), mib(sum.rss), mib(memoryTarget))
	return t.Flush()
}

func mib(bytes int64) string { return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20)) }
