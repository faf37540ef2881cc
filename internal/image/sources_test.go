package image

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSources(t *testing.T) {
	for name, c := range map[string]struct {
		deb822, list string
		want         sources
	}{
		"nothing": {},
		"deb822": {
			deb822: "# a comment: yes\nTypes: deb\nURIs: http://m.example/debian/\nSuites: bookworm bookworm-updates\n\nTypes: deb\nURIs: http://m.example/debian-security\nSuites: bookworm-security\n",
			want:   sources{"http://m.example/debian", "http://m.example/debian-security"},
		},
		"list": {
			list: "# deb http://no.example/debian bookworm main\ndeb [signed-by=/k arch=amd64] https://m.example/debian bookworm main contrib\n",
			want: sources{main: "https://m.example/debian"},
		},
		"others": {
			deb822: "Types: deb\nURIs: https://node.example/node\nSuites: nodistro\n\nTypes: deb\nEnabled: no\nURIs: http://off.example/debian\nSuites: bookworm\n",
			list:   "deb http://old.example/debian bullseye main\ndeb http://third.example/apt bookworm main\ndeb-src http://src.example/debian bookworm main\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got sources
			got.readDeb822(c.deb822)
			got.readList(c.list)
			if got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestSourcesNameOnlyDebian(t *testing.T) {
	text := sources{"http://m/debian", "http://m/debian-security"}.deb822()
	var again sources
	again.readDeb822(text)
	if strings.Count(text, "Signed-By: "+keyring) != 2 || again.main != "http://m/debian" || again.security != "http://m/debian-security" {
		t.Errorf("got\n%s", text)
	}
}

func TestAptOptions(t *testing.T) {
	dump := "APT \"\";\nAcquire::http::Proxy \"http://p:1\";\nAcquire::https::Proxy \"\";\nAcquire::Check-Date \"false\";\nDPkg::Post-Invoke:: \"rm\";\n"
	want := []string{`Acquire::http::Proxy "http://p:1";`, `Acquire::Check-Date "false";`}
	if d := cmp.Diff(want, aptOptions(dump)); d != "" {
		t.Error(d)
	}
}

func TestBootstrapArgs(t *testing.T) {
	got := bootstrapArgs("/r", "/s", []string{"A \"b\";"})
	if tail := got[len(got)-4:]; !slices.Equal(tail, []string{`--aptopt=A "b";`, suite, "/r", "/s"}) {
		t.Errorf("ends with %v", tail)
	}
}

func TestParseStatus(t *testing.T) {
	const status = "Package: a\nStatus: install ok installed\nVersion: 1:2-3\nDescription: x\n Package: not this\n\nPackage: b\nVersion: 4\n"
	want := []Package{{Name: "a", Version: "1:2-3"}, {Name: "b", Version: "4"}}
	if d := cmp.Diff(want, parseStatus(status)); d != "" {
		t.Error(d)
	}
}

// Nothing in an image may act by itself; every unit of the list is masked.
func TestMaskedUnits(t *testing.T) {
	all := allLinks()
	for _, unit := range []string{"systemd-timesyncd.service", "apt-daily.timer", "systemd-networkd.service"} {
		if all["etc/systemd/system/"+unit] != "/dev/null" {
			t.Errorf("%s is not masked", unit)
		}
	}
	if !slices.IsSorted(masked) || !slices.IsSorted(packages) {
		t.Error("keep the lists sorted")
	}
}
