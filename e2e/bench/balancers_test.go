package main

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/e2e/bench/balancers"
	"github.com/haplane/haplane/e2e/bench/lanes"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

func TestBalancersFile(t *testing.T) {
	parsed, err := spec.Parse("balancers.yaml", []byte(balancersFile))
	if err != nil {
		t.Fatal(err)
	}
	shape := topology.New(parsed)
	if len(shape.ControlPlane()) != 3 || len(shape.LoadBalancers()) != 1 || len(shape.KubeletNodes()) != 3 {
		t.Errorf("%d API servers, %d load balancers, %d kubelets; want 3, 1, 3", len(shape.ControlPlane()), len(shape.LoadBalancers()), len(shape.KubeletNodes()))
	}
	if shape.ControlPlane()[1].Name != "cp-2" || shape.LoadBalancers()[0].Name != "lb-1" {
		t.Errorf("nodes are %+v", shape)
	}
}

func TestSamplesAreKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "samples.json")
	if got, err := lanes.Load[balancers.Sample](file); err != nil || got != nil {
		t.Fatalf("of no file: %v, %v", got, err)
	}
	want := []balancers.Sample{{Round: 1, Fault: "killed", Server: "cp-1", Balancer: balancers.Ours,
		New: balancers.Figures{Requests: 300, Failed: 2, Gap: 40.5, P99: 12.25, FirstError: "EOF"}, Elsewhere: 1}}
	if err := lanes.Save(file, want); err != nil {
		t.Fatal(err)
	}
	got, err := lanes.Load[balancers.Sample](file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error("-want +got\n" + d)
	}
}
