package fileset

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestManifestListsItself(t *testing.T) {
	s := New(File{Path: "/etc/b", Mode: 0o644}, File{Path: "/etc/a", Mode: 0o600})
	s.AddManifest("/var/files")
	if got := string(s["/var/files"].Data); got != "/etc/a\n/etc/b\n/var/files\n" || s["/var/files"].Mode != 0o600 {
		t.Errorf("%q, %04o", got, s["/var/files"].Mode)
	}
	if got := Unwanted(string(s["/var/files"].Data), s); len(got) != 0 {
		t.Errorf("of its own files it does not want %q", got)
	}
}

func TestUnwantedIsWhatWasPutThereAndIsNotWanted(t *testing.T) {
	want := New(File{Path: "/etc/a", Mode: 0o600}, File{Path: "/etc/new", Mode: 0o600})
	tests := map[string]struct {
		manifest string
		want     []string
	}{
		"none":             {"", nil},
		"nothing":          {"/etc/a\n", nil},
		"two, in order":    {"/etc/c\n/etc/a\n/etc/b\n/etc/b\n", []string{"/etc/b", "/etc/c"}},
		"no paths":         {"etc/b\n/etc/../b\n/\n/etc/\n \n\n", nil},
		"a cut off line":   {"/etc/a\n/etc/ab\n/etc", []string{"/etc/ab"}},
		"not our manifest": {"rm -rf /\n", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Unwanted(test.manifest, want)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestKeptFilesAreWrittenWhereTheyAreMissing(t *testing.T) {
	s := New(File{Path: "/etc/a", Mode: 0o600, Data: []byte("new"), Keep: true})
	if got := s.Stale(map[string]State{"/etc/a": {Mode: 0o644, Owner: "root", Sum: "other"}}); len(got) != 0 {
		t.Errorf("one that is there is written: %q", got.Paths())
	}
	if got := s.Stale(nil); len(got) != 1 {
		t.Error("one that is missing is not written")
	}
}
