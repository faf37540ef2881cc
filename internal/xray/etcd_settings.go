package xray

import (
	"net/url"
	"strconv"
	"strings"
)

// What etcd takes without the flags.
const (
	DefaultEtcdClientURL = "http://localhost:2379"
	defaultPeerURL       = "http://localhost:2380"
)

// etcdSwitch is a setting that is on or off; set tells whether it was said.
func etcdSwitch(p Instance, name string) (on, set bool) {
	text := p.EtcdSetting(name, "")
	on, _ = strconv.ParseBool(text)
	return on, text != ""
}

// etcdHidden says why what etcd's flags do not have may be set nevertheless.
func etcdHidden(p Instance) string {
	if _, ok := p.Flag("config-file"); ok && p.Config == nil {
		return "its configuration file was not read"
	}
	if u := p.Unit; u != nil && len(u.Unread) > 0 {
		return "its unit names " + strings.Join(u.Unread, ", ") + " for its environment, which was not read"
	}
	return ""
}

func urlHost(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// urlHosts are the hosts of URLs that are separated by commas.
func urlHosts(urls string) []string { return hostsOf(SplitURLs(urls)) }

func hostsOf(urls []string) []string {
	var out []string
	for _, u := range urls {
		if h := urlHost(u); h != "" {
			out = append(out, h)
		}
	}
	return out
}

// SplitURLs are the URLs of one of etcd's settings, where commas or blanks separate them.
func SplitURLs(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}
