package distributiontest

import (
	"fmt"
	"strings"
)

// shiftBalancer is HAProxy with keepalived on each master, both rendered on the machine
// from the templates of machine-config-operator.
func (n *Node) shiftBalancer(i int, nodes []*Node) {
	text := `global
  stats socket /var/lib/haproxy/run/haproxy.sock  mode 600 level admin expose-fd listeners
defaults
  maxconn 40000
  mode    tcp
  log     /var/run/haproxy/haproxy-log.sock local0 notice alert
  option  dontlognull
  retries 3
  timeout http-request 30s
  timeout queue        1m
  timeout connect      10s
  timeout client       1m
  timeout server       1m
  timeout tunnel       5m
  timeout client-fin   1s
  timeout server-fin   1s
frontend  main
  bind :::9445 v4v6
  default_backend masters
listen health_check_http_url
  bind :::9444 v4v6
  mode http
  monitor-uri /haproxy_ready
  option dontlognull
listen stats
  bind localhost:29445
  mode http
  stats enable
  stats hide-version
  stats uri /haproxy_stats
  stats auth Username:` + Planted + `
backend masters
   timeout check 10s
   option  httpchk GET /readyz HTTP/1.0
   balance roundrobin
`
	for _, m := range nodes {
		text += fmt.Sprintf("   server %s %s:6443 weight 1 verify none check check-ssl inter 5s fall 3 rise 1\n", m.Name, m.Address)
	}
	n.file("/etc/haproxy/haproxy.cfg", 0o644, text)
	const run = "/usr/sbin/haproxy -W -db -f /etc/haproxy/haproxy.cfg  -p /var/lib/haproxy/run/haproxy.pid"
	n.static(staticPod{name: "haproxy", namespace: "openshift-onprem-infra", image: "quay.io/openshift-release-dev/ocp-v4.0-art-dev@sha256:0", process: strings.Fields(run),
		command: []string{"/bin/bash", "-c", "#/bin/bash\nset -ex\nreload_haproxy()\n{\n  " + run + " -sf $old_pids &\n}\nif [ -s \"/etc/haproxy/haproxy.cfg\" ]; then\n  " + run + " &\nfi\n" +
			"socat UNIX-LISTEN:/var/run/haproxy/haproxy-master.sock,fork system:'bash -c msg_handler'\n"},
		mounts: same("/etc/haproxy")})
	var peers string
	for _, m := range nodes {
		if m != n {
			peers += "            " + m.Address + "\n"
		}
	}
	n.file("/etc/keepalived/keepalived.conf", 0o644, fmt.Sprintf(`global_defs {
    enable_script_security
    script_user root
    max_auto_priority -1
    vrrp_garp_master_refresh 60
}
vrrp_script chk_ocp_lb {
    script "/usr/bin/timeout 1.9 /etc/keepalived/chk_ocp_script.sh"
    interval 2
    weight 20
    rise 3
    fall 3
}
vrrp_instance ocp_API_0 {
    state BACKUP
    interface br-ex
    virtual_router_id 76
    priority 40
    advert_int 1
    unicast_src_ip %s
    unicast_peer {
%s    }
    authentication {
        auth_type PASS
        auth_pass %s
    }
    virtual_ipaddress {
        %s/32 label vip
    }
    track_script {
        chk_ocp_lb
    }
}
vrrp_instance ocp_INGRESS_0 {
    state BACKUP
    interface br-ex
    virtual_router_id 2
    priority 20
    advert_int 1
    unicast_src_ip %[1]s
    unicast_peer {
%[2]s    }
    authentication {
        auth_type PASS
        auth_pass %[3]s
    }
    virtual_ipaddress {
        10.0.0.9/32 label vip
    }
}
`, n.Address, peers, Planted, vip))
	const keepalived = "/usr/sbin/keepalived -f /etc/keepalived/keepalived.conf --dont-fork --vrrp --log-detail --log-console"
	n.static(staticPod{name: "keepalived", namespace: "openshift-onprem-infra", image: "quay.io/openshift-release-dev/ocp-v4.0-art-dev@sha256:0", process: strings.Fields(keepalived),
		command: []string{"/bin/bash", "-c", "#/bin/bash\nset -ex\nif [ -s \"/etc/keepalived/keepalived.conf\" ]; then\n    " + keepalived + " &\nfi\nwait\n"}, mounts: same("/etc/keepalived")})
	n.Interface = "br-ex"
	if i == 0 {
		n.Also = []string{vip}
	}
	n.Listening = append(n.Listening, ":9445")
}
