package balancers

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
)

//go:embed files
var files embed.FS

var templates = template.Must(template.ParseFS(files, "files/*"))

// A contender is a load balancer's configuration and the program that reads it.
type contender struct {
	name     string
	argv     []string // the configuration's file is appended
	packages string   // Debian's, for an error that says what is missing
	config   func(o Options, s setting) ([]byte, error)
}

// A setting is what a configuration is made for.
type setting struct {
	Listen  string // address and port
	Dir     string // for sockets and files of its own
	Servers []Server
}

var haproxy = []string{"/usr/sbin/haproxy", "-W", "-db", "-f"}

var contenders = []contender{
	{Ours, haproxy, "haproxy", ours},
	{"kubeadm's guide", haproxy, "haproxy", from("kubeadm.cfg")},
	{"nginx stream", []string{"/usr/sbin/nginx", "-e", "stderr", "-c"}, "nginx-light libnginx-mod-stream", from("nginx.conf")},
	{"kind", haproxy, "haproxy", from("kind.cfg")},
}

// Guide is the configuration of kubeadm's guide for a load balancer of these servers.
func Guide(listen string, servers []Server) ([]byte, error) {
	return from("kubeadm.cfg")(Options{}, setting{Listen: listen, Servers: servers})
}

// Ours is haplane's.
const Ours = "haplane"

func from(name string) func(Options, setting) ([]byte, error) {
	return func(_ Options, s setting) ([]byte, error) {
		var w bytes.Buffer
		err := templates.ExecuteTemplate(&w, name, s)
		return w.Bytes(), err
	}
}

var bind = regexp.MustCompile(`(?m)^( +bind) .*$`)

// ours is what haplane has rendered for a load balancer, on another address and
// with its files in another folder.
func ours(o Options, s setting) ([]byte, error) {
	from := filepath.Join(o.Rendered, "etc", "haproxy")
	entries, err := os.ReadDir(from)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.IsDir() {
			continue // Debian's pages of errors
		}
		data, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(s.Dir, e.Name()), data, 0o644); err != nil {
			return nil, err
		}
	}
	text, err := os.ReadFile(filepath.Join(from, "haproxy.cfg"))
	if err != nil {
		return nil, err
	}
	if n := len(bind.FindAll(text, -1)); n != 1 {
		return nil, fmt.Errorf("haproxy.cfg has %d lines that bind, want 1", n)
	}
	return []byte(strings.NewReplacer("/etc/haproxy/", s.Dir+"/", "/run/haproxy/", s.Dir+"/").
		Replace(string(bind.ReplaceAll(text, []byte("$1 "+s.Listen))))), nil
}
