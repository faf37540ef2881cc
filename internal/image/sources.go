package image

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// sources are where packages come from: Debian's suites and nothing else.
type sources struct{ main, security string }

// hostSources takes the mirrors that the host uses, so that an image can be
// built wherever the host can be updated.
func hostSources(mirror string) (sources, error) {
	var s sources
	files, _ := filepath.Glob("/etc/apt/sources.list.d/*.sources")
	lists, _ := filepath.Glob("/etc/apt/sources.list.d/*.list")
	for _, path := range slices.Concat([]string{"/etc/apt/sources.list"}, lists, files) {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if filepath.Ext(path) == ".sources" {
			s.readDeb822(string(data))
		} else {
			s.readList(string(data))
		}
	}
	if mirror != "" {
		s.main = mirror
	}
	if s.main == "" || s.security == "" {
		return s, fmt.Errorf("apt of this host has no mirror of Debian's suites %s and %s-security (add both to /etc/apt/sources.list)", suite, suite)
	}
	return s, nil
}

// take remembers the mirror of a suite of ours.
func (s *sources) take(uri, suiteName string) {
	uri = strings.TrimSuffix(uri, "/")
	switch {
	case !strings.HasPrefix(uri, "http"):
	case suiteName == suite && strings.HasSuffix(uri, "/debian"):
		s.main = uri
	case suiteName == suite+"-security" && strings.HasSuffix(uri, "/debian-security"):
		s.security = uri
	}
}

// readDeb822 reads the newer format of sources.list(5).
func (s *sources) readDeb822(text string) {
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		fields := map[string][]string{}
		for line := range strings.Lines(paragraph) {
			if key, value, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, "#") {
				fields[strings.ToLower(key)] = strings.Fields(value)
			}
		}
		if !slices.Contains(fields["types"], "deb") || slices.Contains(fields["enabled"], "no") {
			continue
		}
		for _, uri := range fields["uris"] {
			for _, name := range fields["suites"] {
				s.take(uri, name)
			}
		}
	}
}

// readList reads the one-line format.
func (s *sources) readList(text string) {
	for line := range strings.Lines(text) {
		if _, rest, ok := strings.Cut(line, "]"); ok && strings.HasPrefix(line, "deb [") {
			line = "deb " + rest
		}
		if f := strings.Fields(line); len(f) >= 3 && f[0] == "deb" {
			s.take(f[1], f[2])
		}
	}
}

// deb822 is what mmdebstrap reads.
func (s sources) deb822() string {
	const stanza = "Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n"
	return fmt.Sprintf(stanza, s.main, suite+" "+suite+"-updates", keyring) +
		fmt.Sprintf(stanza, s.security, suite+"-security", keyring)
}

// hostAptOptions are the host's settings without which its mirror may not be
// reached, or not be believed.
func hostAptOptions(ctx context.Context) []string {
	out, err := exec.CommandContext(ctx, "apt-config", "dump").Output()
	if err != nil {
		return nil
	}
	return aptOptions(string(out))
}

func aptOptions(dump string) []string {
	var out []string
	for line := range strings.Lines(dump) {
		line = strings.TrimSpace(line)
		key, value, _ := strings.Cut(line, " ")
		relevant := strings.HasSuffix(key, "::Proxy") || key == "Acquire::Check-Valid-Until" || key == "Acquire::Check-Date"
		if strings.HasPrefix(key, "Acquire::") && relevant && value != `"";` {
			out = append(out, line)
		}
	}
	return out
}

// Debian tells mmdebstrap where this host takes its packages from, for whoever makes another Debian
// than an image's: a file in apt's deb822 format, and options.
func Debian(ctx context.Context) (file string, options []string, err error) {
	s, err := hostSources("")
	if err != nil {
		return "", nil, err
	}
	return s.deb822(), hostAptOptions(ctx), nil
}
