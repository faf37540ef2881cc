package nspawn

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	sysctlDir = "/proc/sys" // shows the network namespace of the thread that looks
	confDir   = sysctlDir + "/net/ipv6/conf"
	noDAD     = unix.IFA_F_NODAD
)

// A setting is a key of net.ipv6.conf.* and its value.
type setting struct{ key, value string }

// silent keeps a link from speaking IPv6 by itself: it asks for no router,
// believes none, makes no address of a router's prefix and waits with none.
var silent = []setting{{"accept_ra", "0"}, {"autoconf", "0"}, {"accept_dad", "0"}}

var (
	withIPv6    = append([]setting{{"disable_ipv6", "0"}}, silent...)
	withoutIPv6 = []setting{{"disable_ipv6", "1"}}
)

// configureIPv6 is for a link, or for "default": links that are made from then on.
// A kernel without IPv6 has nothing to configure.
func configureIPv6(link string, settings []setting) error {
	for _, s := range settings {
		err := writeSysctl(filepath.Join(confDir, link, s.key), s.value)
		if errors.Is(err, fs.ErrNotExist) && !kernelHasIPv6() {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func kernelHasIPv6() bool {
	_, err := os.Stat(confDir)
	return err == nil
}

func writeSysctl(path, value string) error {
	if err := os.WriteFile(path, []byte(value), 0); err != nil {
		return fmt.Errorf("set sysctl: %w", err)
	}
	return nil
}

// forward lets the host forward packets of a family. A host that forwards IPv6
// stops listening to routers where accept_ra is 1, and loses the routes that it
// has of them, its default route too: 2 keeps them (the kernel's ip-sysctl.rst).
func forward(f family, sysctls string) error {
	path := filepath.Join(sysctls, f.forward)
	if old, err := os.ReadFile(path); err == nil && string(old) == "1\n" {
		return nil
	}
	if f == ipv6 {
		links, err := filepath.Glob(filepath.Join(sysctls, "net/ipv6/conf/*/accept_ra"))
		if err != nil {
			return err
		}
		for _, link := range links {
			if old, err := os.ReadFile(link); err != nil || string(old) != "1\n" {
				continue // a link may go at any time
			}
			if err := writeSysctl(link, "2"); err != nil {
				return err
			}
		}
	}
	return writeSysctl(path, "1")
}
