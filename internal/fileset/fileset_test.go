package fileset

import (
	"archive/tar"
	"bytes"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAddRefusesWhatIsAMistake(t *testing.T) {
	for name, f := range map[string]File{
		"relative": {Path: "a", Mode: 0o600}, "unclean": {Path: "/a/../b", Mode: 0o600},
		"newline": {Path: "/a\nb", Mode: 0o600}, "no mode": {Path: "/a"}, "twice": {Path: "/there", Mode: 0o600},
	} {
		t.Run(name, func(t *testing.T) {
			s := New(File{Path: "/there", Mode: 0o600})
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			s.Add(f)
		})
	}
}

func TestStaleIsWhatDiffers(t *testing.T) {
	key := File{Path: "/k", Mode: 0o600, Data: []byte("secret")}
	right := State{Mode: 0o600, Owner: "root", Sum: key.Sum()}
	tests := map[string]struct {
		seen  map[string]State
		stale bool
	}{
		"current": {map[string]State{"/k": right}, false},
		"missing": {nil, true},
		"mode":    {map[string]State{"/k": {0o644, "root", right.Sum}}, true},
		"owner":   {map[string]State{"/k": {0o600, "nobody", right.Sum}}, true},
		"content": {map[string]State{"/k": {0o600, "root", "00"}}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := len(New(key).Stale(test.seen)) == 1; got != test.stale {
				t.Errorf("stale %v", got)
			}
		})
	}
}

func TestSecret(t *testing.T) {
	for name, test := range map[string]struct {
		file File
		want bool
	}{
		"key":                            {File{Mode: 0o600}, true},
		"certificate":                    {File{Mode: 0o644}, false},
		"unit that a benchmark shuts":    {File{Mode: 0o600, Open: true}, false},
		"read by a group, not by others": {File{Mode: 0o640}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.file.Secret(); got != test.want {
				t.Errorf("secret %v", got)
			}
		})
	}
}

func TestUnder(t *testing.T) {
	s := New(File{Path: "/a/b", Mode: 0o600}, File{Path: "/a/bc", Mode: 0o600}, File{Path: "/a/b2/c", Mode: 0o600}, File{Path: "/d", Mode: 0o600})
	if diff := cmp.Diff([]string{"/a/b", "/a/b2/c"}, s.Under("/a/b", "/a/b2").Paths()); diff != "" {
		t.Error(diff)
	}
}

func TestTar(t *testing.T) {
	s := New(File{Path: "/etc/k", Mode: 0o600, Data: []byte("secret")}, File{Path: "/etc/c", Mode: 0o644, Owner: "haproxy", Data: []byte("c")})
	var w bytes.Buffer
	if err := s.WriteTar(&w, func(p string) string { return p + ".new" }); err != nil {
		t.Fatal(err)
	}
	type entry struct {
		Name, Owner, Data string
		Mode              int64
	}
	var got []entry
	for r := tar.NewReader(&w); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(r)
		got = append(got, entry{h.Name, h.Uname + ":" + h.Gname, string(data), h.Mode})
	}
	want := []entry{{"etc/c.new", "haproxy:haproxy", "c", 0o644}, {"etc/k.new", "root:root", "secret", 0o600}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
