package component

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/spec"
)

// serve has the programs below /release/bin/amd64/, and counts what is asked for.
func serve(t *testing.T, programs map[string][]byte) (r Ready, asked *atomic.Int32) {
	t.Helper()
	asked = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		data, ok := programs[strings.TrimPrefix(r.URL.Path, "/release/bin/amd64/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(data)
	}))
	t.Cleanup(server.Close)
	r = Ready{URL: server.URL + "/release/bin/amd64", SHA256: map[string]string{}}
	for name, data := range programs {
		sum := sha256.Sum256(data)
		r.SHA256[name] = strings.ToUpper(hex.EncodeToString(sum[:]))
	}
	return r, asked
}

// The cluster file may name just the programs that components have.
func TestProgramsOfTheClusterFile(t *testing.T) {
	var all []string
	for _, row := range table() {
		for _, p := range slices.Concat(row.separate(), row.programs) {
			all = append(all, p.name)
		}
	}
	slices.Sort(all)
	if d := cmp.Diff(slices.Compact(all), spec.Programs); d != "" {
		t.Error(d)
	}
}

// two is a component of two programs.
func two() row {
	r := helloRow()
	r.programs = append(slices.Clone(r.programs), program{name: "other", pkg: ".", ask: askVersion})
	r.programs[0].links = nil
	return r
}

func TestServerHasOneProgramOfTwo(t *testing.T) {
	o := hello(t)
	var asked *atomic.Int32
	o.Ready, asked = serve(t, map[string][]byte{"other": says(t, "v9.9.9")})
	for i, want := range [][]string{
		{"other fetching", "other v9.9.9 fetched", "hello v1.2.3 building", "hello v1.2.3 built"},
		{"other v9.9.9 cached", "hello v1.2.3 cached"},
	} {
		var seen []string
		o.Report = func(e Event) {
			text, _, _ := strings.Cut(e.String(), " in ")
			seen = append(seen, text)
		}
		programs, err := build(t.Context(), []row{two()}, o)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, seen); d != "" {
			t.Errorf("run %d: %s", i+1, d)
		}
		if len(programs) != 2 || programs[0].Name != "other" || programs[0].Version != "v9.9.9" || programs[1].Name != "hello" {
			t.Errorf("run %d: programs %+v", i+1, programs)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("fetched %d times, want once", asked.Load())
	}
}

func TestComponentThatIsFetchedWholeIsNotBuilt(t *testing.T) {
	o := Options{Source: "/nowhere", Cache: t.TempDir()}.withDefaults()
	o.Ready, _ = serve(t, map[string][]byte{"other": says(t, "v9.9.9"), "hello": says(t, "v9.9.8")})
	programs, err := build(t.Context(), []row{two()}, o)
	if err != nil || len(programs) != 2 {
		t.Errorf("programs %+v, %v", programs, err)
	}
}

func TestFetchFails(t *testing.T) {
	o := hello(t)
	good, _ := serve(t, map[string][]byte{"other": says(t, "v9.9.9")})
	zero := strings.Repeat("0", 64)
	script, _ := serve(t, map[string][]byte{"other": []byte("#!/bin/sh\n")})
	for name, c := range map[string]struct {
		ready Ready
		want  []string
	}{
		"wrong sum": {Ready{URL: good.URL, SHA256: map[string]string{"other": zero}},
			[]string{good.URL + "/other has SHA-256 " + strings.ToLower(good.SHA256["other"]) + ", want " + zero}},
		"not there":   {Ready{URL: good.URL + "/x", SHA256: good.SHA256}, []string{"GET " + good.URL + "/x/other: 404 Not Found"}},
		"no server":   {Ready{URL: "http://127.0.0.1:1", SHA256: good.SHA256}, []string{"http://127.0.0.1:1/other", "connection refused"}},
		"no program":  {script, []string{"it is not a Linux program"}},
		"other name":  {Ready{URL: good.URL, SHA256: map[string]string{"kubelt": zero}}, []string{`"kubelt"`, "there are hello, other"}},
		"other and x": {Ready{URL: good.URL, SHA256: map[string]string{"a": zero, "b": zero}}, []string{`"a"`, `"b"`}},
	} {
		t.Run(name, func(t *testing.T) {
			o := o
			o.Ready = c.ready
			_, err := build(t.Context(), []row{two()}, o)
			if err == nil {
				t.Fatal("no error")
			}
			wants(t, err.Error(), c.want...)
			checkNoEntry(t, o)
		})
	}
}

func TestKubernetesComesWhole(t *testing.T) {
	zero := strings.Repeat("0", 64)
	sums := map[string]string{"kubelet": zero, "kubectl": zero, "etcd": zero}
	text := broken(t, Ready{URL: "http://127.0.0.1:1", SHA256: sums})
	wants(t, text, "sha256 names kubectl, kubelet but lacks kube-apiserver, kube-controller-manager, kube-proxy, kube-scheduler, kubeadm: ")
	sums["kube"] = zero
	wants(t, broken(t, Ready{URL: "http://127.0.0.1:1", SHA256: sums}), "sha256 names kube and also kubectl, kubelet, which it has in it")
}
