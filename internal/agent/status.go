package agent

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// A Health is the answer of /healthz.
type Health struct {
	OK     bool   `json:"ok"` // the process answers; an agent that does not lead is fine
	Node   string `json:"node"`
	Leader bool   `json:"leader"`
	Holder string `json:"holder"` // the leader's node as last seen, "" before the Lease was read
	// LastSync is when this agent last found both objects right or put them so;
	// absent when it has not led yet.
	LastSync *time.Time `json:"lastSync,omitempty"`
}

// status is what the agent says of itself: as JSON and as metrics.
type status struct {
	registry *prometheus.Registry
	leader   prometheus.Gauge
	repairs  *prometheus.CounterVec
	lastSync prometheus.Gauge
	errors   prometheus.Counter
	requests *prometheus.CounterVec

	mu     sync.Mutex
	health Health
}

func newStatus(node string) *status {
	s := &status{
		registry: prometheus.NewRegistry(),
		leader: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "haplane_agent_leader", Help: "1 while this agent leads.",
		}),
		repairs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "haplane_agent_repairs_total", Help: "Writes that put default/kubernetes right.",
		}, []string{"object"}),
		lastSync: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "haplane_agent_last_sync_timestamp_seconds", Help: "When this agent last found or put both objects right, Unix time.",
		}),
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "haplane_agent_errors_total", Help: "Attempts to check or repair that ended in an error.",
		}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "haplane_agent_certificate_requests_total", Help: "Certificates that kubelets asked for to serve, by what became of it.",
		}, []string{"result"}),
		health: Health{OK: true, Node: node},
	}
	// A rate needs the zero before the first repair.
	s.repairs.WithLabelValues("endpoints")
	s.repairs.WithLabelValues("endpointslice")
	s.requests.WithLabelValues("approved")
	s.requests.WithLabelValues("refused")
	s.registry.MustRegister(s.leader, s.repairs, s.lastSync, s.errors, s.requests,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return s
}

func (s *status) leads(leader bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health.Leader = leader
	s.leader.Set(0)
	if leader {
		s.leader.Set(1)
	}
}

func (s *status) holds(holder string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health.Holder = holder
}

func (s *status) synced(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health.LastSync = &now
	s.lastSync.Set(float64(now.UnixMilli()) / 1000)
}

func (s *status) failed() { s.errors.Inc() }

func (s *status) now() Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health
}

// handler serves /healthz and /metrics.
func (s *status) handler() http.Handler { return answers(s.registry, func() any { return s.now() }) }

// answers serves what now returns at /healthz, and /metrics.
func answers(registry *prometheus.Registry, now func() any) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(now())
	})
	return mux
}
