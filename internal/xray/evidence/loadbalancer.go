package evidence

import "time"

// A LoadBalancer is one as its configuration has it. Durations are 0 where the
// configuration does not say.
type LoadBalancer struct {
	Kind string // haproxy or nginx
	Path string // the configuration file
	Err  string // why it could not be read
	// Frontends are host:port; the host is "" where it listens on all.
	Frontends []string
	Backends  []Backend
	// Timeouts for the backend of the API servers.
	ConnectTimeout time.Duration
	ClientTimeout  time.Duration // idle, client side; nginx: proxy_timeout
	ServerTimeout  time.Duration // idle, server side; nginx: proxy_timeout
	TunnelTimeout  time.Duration // HAProxy's timeout tunnel, which replaces both once bytes went both ways
	Redispatch     bool          // a connect that failed goes to another server; nginx: proxy_next_upstream
	// Tries are the connects to one server before another is tried, or, where none is, before the session ends.
	Tries int
	// HTTPMode are the sections through which sessions pass that read them as HTTP, such as "frontend api".
	HTTPMode []string
	// EndsTLS are the addresses at which it takes TLS apart itself; AddsTLS and SendsProxy
	// the servers to which it puts sessions into TLS of its own, or begins them with a PROXY header.
	EndsTLS, AddsTLS, SendsProxy []string
	Limits                       Limits
	Check                        HealthCheck
	// CutDeadSessions: sessions of a server that is marked down are ended.
	CutDeadSessions bool
	// TCPUserTimeout ends a session whose peer acknowledges nothing; 0: the kernel's 15 minutes.
	TCPUserTimeout time.Duration
	KeepAlive      bool      // TCP keep-alive towards the servers
	State          []Backend // what HAProxy says of them right now; nil where it was not asked
	Notes          []string  // what of its configuration was not looked at
}

// Limits are how many connections at once a load balancer takes, as far as it is
// configured; 0: not said.
type Limits struct {
	Process   int // HAProxy: maxconn of global
	Files     int // HAProxy: ulimit-n of global
	Frontend  int // HAProxy: the least maxconn of the frontends and their binds
	PerClient int // nginx: the least limit_conn
	PerSecond int // HAProxy: the least of maxconnrate, maxsessrate and rate-limit sessions
	// Of nginx: its workers, the connections of each, of which a session takes two, and its files.
	Workers, WorkerConnections, WorkerFiles int
	WorkersByCPU                            bool // as many workers as CPUs
}

// A Backend is one server behind the load balancer.
type Backend struct {
	Name    string
	Address string // host:port
	Backup  bool
	Checked bool   // has a health check
	MaxConn int    // connections at once, more wait; 0: no limit
	Status  string // UP, DOWN, MAINT, ... in LoadBalancer.State
	Detail  string // of the last check
	Just    bool   // its status changed within the last two seconds, as HAProxy tells
}

// Up reports whether the load balancer sends it new connections.
func (b Backend) Up() bool {
	return b.Status == "no check" || len(b.Status) >= 2 && b.Status[:2] == "UP"
}

// A HealthCheck is how the load balancer finds out that a server is gone.
type HealthCheck struct {
	Kind     string // none, tcp, http, passive (only failures of real connections count)
	Option   string // HAProxy's option that makes the check, where it is neither httpchk nor tcp-check
	Replaces string // an option before it that it makes void
	Method   string // of http
	Path     string // of http
	TLS      bool
	Verified bool   // the server's certificate is verified
	Name     string // the name that it is verified for
	LogsIn   bool   // with a client certificate
	Expect   string // what makes it pass, such as "status 200"
	Interval time.Duration
	// FastInterval is the one while a server is on its way down; 0: Interval.
	FastInterval time.Duration
	Timeout      time.Duration // of one check; 0: not said
	Fall         int           // failures that mark it down
	Rise         int           // successes that mark it up
}

// Detection is how long it takes at most until a server that refuses its checks
// is marked down; 0 where there is no check.
func (h HealthCheck) Detection() time.Duration {
	if h.Kind == "none" || h.Kind == "" || h.Interval == 0 {
		return 0
	}
	fast := h.FastInterval
	if fast == 0 {
		fast = h.Interval
	}
	return h.Interval + time.Duration(max(h.Fall-1, 0))*fast
}
