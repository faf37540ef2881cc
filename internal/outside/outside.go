// Package outside looks at a load balancer that haplane did not configure, and cannot look into: it opens
// connections through it, and sees which API server each of them leads to, from where, and for how long.
// Nothing is changed by looking.
package outside

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/haplane/haplane/internal/topology"
)

// A Server is an API server that is to be behind the load balancer.
type Server struct {
	Node    string
	Address netip.AddrPort // where it is reached past the load balancer
}

// A Balancer is one that somebody else configures.
type Balancer struct {
	Places  []netip.AddrPort // where clients reach it, the one that clients are told first
	Servers []Server
	// TLS trusts the cluster's authority and has the certificate of a user who may read metrics. It names no
	// server: through the load balancer that is its address, as for any client.
	TLS *tls.Config
}

// askTimeout bounds one connection with its question: a load balancer that loses packets answers never.
const askTimeout = 3 * time.Second

// A TerminatedError is a certificate that is none of the cluster's API servers.
type TerminatedError struct {
	Subject, Issuer string
	// Answers says that an API server answered under it, so that it is the load balancer that ends TLS; else
	// it may be anybody.
	Answers bool
	Err     error // why it is none
}

func (e *TerminatedError) Error() string {
	who := "something else than this cluster answers there, or the load balancer ends TLS itself"
	if e.Answers {
		who = "the load balancer ends TLS itself, and asks an API server on its own behalf"
	}
	return fmt.Sprintf("a certificate of %s, issued by %s, came, which is not the cluster's: %s", e.Subject, e.Issuer, who)
}

func (e *TerminatedError) Unwrap() error { return e.Err }

// A NobodyError is an answer to somebody without the client's certificate.
type NobodyError struct{ Status string }

func (e *NobodyError) Error() string {
	return fmt.Sprintf("an API server answered %s: it did not get the client's certificate, so TLS ends before it", e.Status)
}

// A connection is one to an API server. It stays open until it is closed, and can be asked more.
type connection struct {
	*tls.Conn
	read *bufio.Reader
	// process tells API servers apart, which have one certificate between them: when its process was started.
	process string
}

// ask opens a connection and asks who is at its other end.
func (b *Balancer) ask(ctx context.Context, place, serverName string) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	config := b.TLS.Clone()
	config.ServerName, config.NextProtos = serverName, []string{"http/1.1"}
	c, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", place)
	if err != nil {
		return nil, b.explain(ctx, place, err)
	}
	conn := &connection{Conn: c.(*tls.Conn), read: bufio.NewReader(c)}
	if conn.process, err = conn.whose(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return conn, nil
}

// startMetric is when a process was started, in seconds since 1970 with hundredths.
const startMetric = "process_start_time_seconds "

func (c *connection) whose(ctx context.Context) (string, error) {
	deadline, _ := ctx.Deadline()
	_ = c.SetDeadline(deadline)
	defer c.SetDeadline(time.Time{})
	answer, err := c.get("/metrics?name%5B%5D=" + strings.TrimSpace(startMetric)) // older API servers tell all the others too
	if err != nil {
		return "", plain(err)
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return "", &NobodyError{answer.Status}
	default:
		return "", fmt.Errorf("an API server answered %s", answer.Status)
	}
	process, lines := "", bufio.NewReader(answer.Body)
	for {
		line, err := lines.ReadString('\n')
		if value, ok := strings.CutPrefix(line, startMetric); ok {
			process = strings.TrimSpace(value)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", plain(err)
		}
	}
	if process == "" {
		return "", errors.New("what answered is no API server: its metrics do not tell when it was started")
	}
	return process, nil
}

func (c *connection) get(path string) (*http.Response, error) {
	request, err := http.NewRequest(http.MethodGet, "https://"+c.RemoteAddr().String()+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "haplane")
	if err := request.Write(c); err != nil {
		return nil, err
	}
	return http.ReadResponse(c.read, request)
}

// explain tells of a certificate that is not the cluster's whether an API server is behind it.
func (b *Balancer) explain(ctx context.Context, place string, err error) error {
	var foreign *tls.CertificateVerificationError
	if !errors.As(err, &foreign) || len(foreign.UnverifiedCertificates) == 0 {
		return plain(err)
	}
	if b.issued(foreign.UnverifiedCertificates) { // it has ended, or does not have this address
		return foreign.Err
	}
	cert := foreign.UnverifiedCertificates[0]
	return &TerminatedError{Subject: orUnnamed(cert.Subject.String()), Issuer: orUnnamed(cert.Issuer.String()), Err: foreign.Err, Answers: apiServerBehind(ctx, place)}
}

// issued reports whether the cluster's authority signed a certificate, whatever else is wrong with it.
func (b *Balancer) issued(chain []*x509.Certificate) bool {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: b.TLS.RootCAs, Intermediates: between, CurrentTime: chain[0].NotBefore})
	return err == nil
}

func orUnnamed(name string) string {
	if name == "" {
		return "nobody by name"
	}
	return name
}

// apiServerBehind asks for what anybody may ask for, under whatever certificate comes, and shows none: nothing that is
// secret goes there.
func apiServerBehind(ctx context.Context, place string) bool {
	c, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}}).DialContext(ctx, "tcp", place)
	if err != nil {
		return false
	}
	defer c.Close()
	deadline, _ := ctx.Deadline()
	_ = c.SetDeadline(deadline)
	answer, err := (&connection{Conn: c.(*tls.Conn), read: bufio.NewReader(c)}).get("/readyz")
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.Header.Get("Audit-Id") != "" // which API servers give every answer
}

// plain says in words what an error of the network is, without addresses and ports that differ each time.
func plain(err error) error {
	var record tls.RecordHeaderError
	var timeout net.Error
	var op *net.OpError
	switch {
	case errors.As(err, &record):
		return errors.New("what answered does not speak TLS")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return errors.New("the connection was closed without an answer")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("no answer within %s", askTimeout)
	case errors.As(err, &op):
		return op.Err
	}
	return err
}

// processes asks each API server past the load balancer; the error names those that did not answer.
func (b *Balancer) processes(ctx context.Context) (nodes map[string][]string, err error) {
	nodes = map[string][]string{}
	var group sync.WaitGroup
	var mu sync.Mutex
	errs := map[string]error{}
	for _, s := range b.Servers {
		group.Go(func() {
			c, err := b.ask(ctx, s.Address.String(), topology.KubernetesName)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs[s.Node] = fmt.Errorf("%s, past the load balancer: %w", s.Node, err)
				return
			}
			c.Close()
			nodes[c.process] = append(nodes[c.process], s.Node)
		})
	}
	group.Wait()
	for _, name := range slices.Sorted(maps.Keys(errs)) {
		err = errors.Join(err, errs[name])
	}
	return nodes, err
}
