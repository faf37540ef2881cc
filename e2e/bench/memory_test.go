package main

import (
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSumMemory(t *testing.T) {
	one := "1/comm:systemd\n9/comm:kube-controller\n70/comm:containerd-shim\n" +
		"1/smaps_rollup:Rss:               12000 kB\n1/smaps_rollup:Pss:                3000 kB\n" +
		"9/smaps_rollup:Rss:              102400 kB\n9/smaps_rollup:Pss:               51200 kB\n" +
		"70/smaps_rollup:Rss:               2048 kB\n70/smaps_rollup:Pss:               1024 kB\n"
	// A process that has ended meanwhile has a name and no memory, or the other way round.
	other := "9/comm:kube-controller\n11/comm:sh\n9/smaps_rollup:Rss: 1024 kB\n9/smaps_rollup:Pss: 1024 kB\n12/smaps_rollup:Pss: 1 kB\n"
	got, err := sumMemory([]string{one, other})
	if err != nil {
		t.Fatal(err)
	}
	want := []usage{
		{program: "kube-controller-manager", pss: 52224 << 10, rss: 103424 << 10},
		{program: others, pss: 3001 << 10, rss: 12000 << 10},
		{program: "containerd and its shims", pss: 1024 << 10, rss: 2048 << 10},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(usage{})); d != "" {
		t.Error("-want +got\n" + d)
	}
	rows := printed(t, func(w io.Writer) error { return printMemory(w, got) })
	if want := "all 55 MiB 115 MiB at most 2048 MiB"; rows[len(rows)-2] != want {
		t.Errorf("got %q, want %q", rows[len(rows)-2], want)
	}
	if _, err := sumMemory([]string{"1/smaps_rollup:Rss: lots\n"}); err == nil {
		t.Error("a size that is no number is taken")
	}
}
