package outside

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// An authority signs the certificates of a cluster.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	return &authority{t, cert, key}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// pair is a certificate for loopback and kubernetes.default, both for servers and clients.
func (a *authority) pair(name string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"kubernetes.default"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// An apiServer does what kube-apiserver does for whoever looks from outside.
type apiServer struct {
	t       *testing.T
	process string
	address string
	tls     *tls.Config
	unready atomic.Bool
	server  *http.Server
}

func (c *testCluster) apiServer(process string) *apiServer {
	s := &apiServer{t: c.t, process: process, tls: &tls.Config{Certificates: []tls.Certificate{c.ca.pair("kube-apiserver")}, ClientCAs: c.ca.pool(), ClientAuth: tls.VerifyClientCertIfGiven}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	s.address = l.Addr().String()
	s.serve(l)
	c.t.Cleanup(func() { s.server.Close() })
	return s
}

func (s *apiServer) serve(l net.Listener) {
	s.server = &http.Server{Handler: http.HandlerFunc(s.answer), ErrorLog: log.New(io.Discard, "", 0)}
	go s.server.Serve(tls.NewListener(l, s.tls))
}

func (s *apiServer) answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Audit-Id", "1")
	switch {
	case r.URL.Path == "/readyz" && s.unready.Load():
		w.WriteHeader(http.StatusInternalServerError)
	case r.URL.Path == "/readyz":
		fmt.Fprint(w, "ok")
	case r.TLS == nil || len(r.TLS.PeerCertificates) == 0:
		w.WriteHeader(http.StatusForbidden)
	case r.URL.Path == "/metrics":
		fmt.Fprintf(w, "# TYPE process_start_time_seconds gauge\n%s%s\nprocess_virtual_memory_bytes 1\n", startMetric, s.process)
	case r.URL.Query().Get("watch") == "true":
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
}

// stop takes a delay in which it is unready and serves, and then a moment until it listens again.
func (s *apiServer) stop(delay time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		s.unready.Store(true)
		time.Sleep(delay)
		if err := s.server.Shutdown(ctx); err != nil {
			return err
		}
		time.Sleep(delay / 2)
		l, err := net.Listen("tcp", s.address)
		if err != nil {
			return err
		}
		s.process += "1" // another one
		s.unready.Store(false)
		s.serve(l)
		time.Sleep(delay / 2)
		return nil
	}
}

// A testCluster has API servers, and a load balancer of somebody else's before them.
type testCluster struct {
	t       *testing.T
	ca      *authority
	servers []*apiServer
	out     *Balancer
}

func newCluster(t *testing.T, n int) *testCluster {
	t.Helper()
	c := &testCluster{t: t, ca: newAuthority(t, "kubernetes")}
	c.out = &Balancer{TLS: &tls.Config{RootCAs: c.ca.pool(), Certificates: []tls.Certificate{c.ca.pair("super-admin")}}}
	for i := range n {
		s := c.apiServer(fmt.Sprintf("1.7643%de+09", i))
		c.servers = append(c.servers, s)
		c.out.Servers = append(c.out.Servers, Server{fmt.Sprintf("cp-%d", i+1), netip.MustParseAddrPort(s.address)})
	}
	return c
}

func (c *testCluster) nodes() []string {
	var out []string
	for _, s := range c.out.Servers {
		out = append(out, s.Node)
	}
	return out
}

// A proxy is the load balancer. Its fields are what is set there.
type proxy struct {
	servers   []*apiServer
	readyz    bool             // new connections go to servers that are ready
	another   bool             // one that is refused is tried elsewhere
	idle      time.Duration    // after which a connection is ended; 0 is never
	terminate *tls.Certificate // under which TLS ends here
	client    *tls.Config      // with which it asks servers then
	silent    bool             // it takes connections, and that is all
	odd       bool             // it closes every second connection

	next atomic.Int64
}

// before puts the proxy before the cluster, and returns where.
func (c *testCluster) before(p *proxy) netip.AddrPort {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go p.pass(conn)
		}
	}()
	place := netip.MustParseAddrPort(l.Addr().String())
	c.out.Places = append(c.out.Places, place)
	return place
}

func (p *proxy) pass(in net.Conn) {
	defer in.Close()
	turn := int(p.next.Add(1))
	if p.silent {
		_, _ = io.Copy(io.Discard, in)
		return
	}
	if p.odd && turn%2 == 0 {
		return
	}
	out := p.dial(turn)
	if out == nil {
		return
	}
	defer out.Close()
	if p.terminate != nil {
		in, out = tls.Server(in, &tls.Config{Certificates: []tls.Certificate{*p.terminate}}), tls.Client(out, p.client)
	}
	var group sync.WaitGroup
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		group.Go(func() {
			p.copy(way[0], way[1])
			in.Close()
			out.Close()
		})
	}
	group.Wait()
}

func (p *proxy) dial(turn int) net.Conn {
	for i := range p.servers {
		s := p.servers[(turn+i)%len(p.servers)]
		if p.readyz && s.unready.Load() {
			continue
		}
		if out, err := net.Dial("tcp", s.address); err == nil || !p.another {
			if err != nil {
				return nil
			}
			return out
		}
	}
	return nil
}

func (p *proxy) copy(to, from net.Conn) {
	buffer := make([]byte, 4096)
	for {
		if p.idle > 0 {
			_ = from.SetReadDeadline(time.Now().Add(p.idle))
		}
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
