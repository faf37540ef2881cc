package pki

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// sign is what an authority elsewhere does: it takes over what the request has.
func sign(t *testing.T, request []byte, ca Pair, at time.Time) []byte {
	t.Helper()
	return signWith(t, request, ca, at, func(*x509.Certificate) {})
}

// signWith is an authority with its own mind: what an edit leaves is signed.
func signWith(t *testing.T, request []byte, ca Pair, at time.Time, edit func(*x509.Certificate)) []byte {
	t.Helper()
	block, _ := pem.Decode(request)
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := csr.CheckSignature(); err != nil {
		t.Fatal(err)
	}
	row, err := requested(request)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer, err := ca.parse()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(42), Subject: csr.Subject, NotBefore: at.Add(-time.Hour), NotAfter: at.Add(year),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: row.Usage.extended(), DNSNames: csr.DNSNames, IPAddresses: csr.IPAddresses}
	edit(template)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, csr.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// What an authority elsewhere signs just as it was asked to is the pair of the key that waits, whether its key is here or not.
func TestSignedElsewhere(t *testing.T) {
	have, _ := complete(t, rows(), Bundle{}, now)
	waiting, requests, certs := map[string][]byte{}, map[string][]byte{}, map[string][]byte{}
	for _, row := range rows()[3:] {
		key, err := NewKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if requests[row.Name], err = SigningRequest(row, key, rand.Reader); err != nil {
			t.Fatal(err)
		}
		waiting[row.Name], certs[row.Name] = key, sign(t, requests[row.Name], have.Pairs[row.CA], now)
	}
	asked, broken := Requested(requests, nil)
	if len(broken) > 0 {
		t.Fatal(broken)
	}
	for _, row := range rows()[3:] {
		name, pair, err := Returned(waiting, certs[row.Name])
		if diff := cmp.Diff(Pair{Cert: certs[row.Name], Key: waiting[row.Name]}, pair); err != nil || name != row.Name || diff != "" {
			t.Errorf("%s: %s, %v, %s", row.Name, name, err, diff)
		}
		for _, authority := range []Pair{have.Pairs[row.CA], {Cert: have.Pairs[row.CA].Cert}} {
			if err := Check(row, pair, authority, now); err != nil {
				t.Errorf("%s: %v", row.Name, err)
			}
		}
		if one := asked[row.Name]; !one.Asks(row) || one.CA != row.CA {
			t.Errorf("%s was asked for as %+v", row.Name, one)
		}
	}
	for name, test := range map[string]struct {
		cert []byte
		err  string
	}{
		"not PEM":        {[]byte("x"), "certificate is not PEM"},
		"no request":     {have.Pairs[Admin].Cert, "it belongs to no key that waits for a signature: it is of CN=kubernetes-admin"},
		"an authority's": {have.Pairs[CA].Cert, "it belongs to no key"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := Returned(waiting, test.cert); err == nil || !strings.HasPrefix(err.Error(), test.err) {
				t.Errorf("%v", err)
			}
		})
	}
	asked, broken = Requested(map[string][]byte{"scheduler": []byte("x"), "admin": nil, "flannel": requests["flannel"]}, nil)
	if len(broken) != 2 || broken["scheduler"] == nil || broken["admin"] == nil || len(asked) != 1 || asked["flannel"].CommonName != FlannelUser {
		t.Errorf("requests that are none: %v, and the others %v", broken, asked)
	}
}

// An authority elsewhere may add what does no harm, and say things in its own order; what is lacking, and what makes a certificate somebody
// else's, is told, all of it at once. What haplane signs itself is just what its row says.
func TestWhatAnAuthorityElsewhereMayAdd(t *testing.T) {
	have, _ := complete(t, rows(), Bundle{}, now)
	other, _ := complete(t, rows(), Bundle{}, now)
	node := Kubelet("worker-1")
	for name, test := range map[string]struct {
		row  string
		edit func(*x509.Certificate)
		ca   Pair
		says []string // nothing: it is taken
	}{
		"a name more":       {row: APIServer, edit: func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "kube-apiserver.corp.example") }},
		"another order":     {row: APIServer, edit: func(c *x509.Certificate) { slices.Reverse(c.DNSNames); slices.Reverse(c.IPAddresses) }},
		"a server's name":   {row: node, edit: func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "x", Organization: []string{"Corp"}} }},
		"further subject":   {row: Scheduler, edit: func(c *x509.Certificate) { c.Subject.OrganizationalUnit = []string{"IT"} }},
		"a client's name":   {row: Scheduler, edit: func(c *x509.Certificate) { c.DNSNames = []string{"kubernetes.default"} }},
		"both in order":     {row: EtcdPeer("cp-1"), edit: func(c *x509.Certificate) { slices.Reverse(c.ExtKeyUsage) }},
		"key encipherment":  {row: APIServer, edit: func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageKeyEncipherment }},
		"a wildcard":        {row: node, edit: func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "*.corp.example") }},
		"a node in shared":  {row: APIServer, edit: func(c *x509.Certificate) { c.IPAddresses = append(c.IPAddresses, net.IPv4(10, 10, 10, 11)) }, says: []string{"it is good for 10.10.10.11 as well, which others in the cluster are"}},
		"a balancer's name": {row: APIServer, edit: func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "lb-1", "worker-1") }, says: []string{"it is good for lb-1, worker-1 as well"}},
		"the API's name":    {row: node, edit: func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "kubernetes.default") }, says: []string{"it is good for kubernetes.default as well"}},
		"a wildcard of it":  {row: node, edit: func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "*.default.svc") }, says: []string{"it is good for kubernetes.default.svc as well"}},
		"another member":    {row: EtcdPeer("cp-1"), edit: func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "cp-2") }, says: []string{"it is good for cp-2 as well"}},
		"loopback": {row: node, edit: func(c *x509.Certificate) {
			c.DNSNames, c.IPAddresses = append(c.DNSNames, "localhost"), append(c.IPAddresses, net.IPv4(127, 0, 0, 1), net.IPv6loopback)
		}},
		"another user":      {row: Scheduler, edit: func(c *x509.Certificate) { c.Subject.CommonName = "system:kube-controller-manager" }, says: []string{"subject is CN=system:kube-controller-manager, not CN=system:kube-scheduler"}},
		"another group":     {row: Admin, edit: func(c *x509.Certificate) { c.Subject.Organization = append(c.Subject.Organization, "system:masters") }, says: []string{"subject is ", ", not CN=kubernetes-admin,O=haplane:cluster-admins"}},
		"also a client":     {row: node, edit: func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) }, says: []string{"extended key usage has clientAuth"}},
		"good for anything": {row: node, edit: func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageAny) }, says: []string{"extended key usage has any usage"}},
		"an authority":      {row: node, edit: func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }, says: []string{"it is the certificate of an authority"}},
		"all at once": {row: APIServer, ca: other.Pairs[EtcdCA], says: []string{"ended on", "lacks serverAuth", "digitalSignature", "it lacks the names kubernetes, 10.10.10.3", "ca (CN=kubernetes) has not signed it: its issuer is CN=etcd-ca"},
			edit: func(c *x509.Certificate) {
				c.NotAfter, c.KeyUsage, c.ExtKeyUsage, c.DNSNames, c.IPAddresses = now.Add(-time.Minute), x509.KeyUsageKeyEncipherment, nil, c.DNSNames[1:], c.IPAddresses[1:]
			}},
	} {
		t.Run(name, func(t *testing.T) {
			row := rows()[slices.IndexFunc(rows(), func(r Row) bool { return r.Name == test.row })]
			key, err := NewKey(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			request, err := SigningRequest(row, key, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			authority := have.Pairs[row.CA]
			by := authority
			if test.ca.Cert != nil {
				by = test.ca
			}
			pair := Pair{Cert: signWith(t, request, by, now, test.edit), Key: key}
			err = Check(row, pair, Pair{Cert: authority.Cert}, now)
			if len(test.says) == 0 && err != nil {
				t.Fatalf("it is refused: %v", err)
			}
			for _, says := range test.says {
				if err == nil || !strings.Contains(err.Error(), says) {
					t.Errorf("%v\ndoes not say %q", err, says)
				}
			}
			if differs := name == "a name more" || len(test.says) > 0; differs && Check(row, pair, authority, now) == nil {
				t.Error("where the key is here, it is not made anew")
			}
			// Once the key is declared to be elsewhere, what is taken is no reason to do anything; its further names are told.
			declared := rows()
			for i := range declared {
				declared[i].External = declared[i].CA == ""
			}
			kept := have
			kept.Pairs = maps.Clone(have.Pairs)
			kept.Pairs[row.CA], kept.Pairs[row.Name] = Pair{Cert: authority.Cert}, pair
			plan, lost := Plan(declared, kept, now, true)
			if planned := slices.Contains(names(plan), row.Name); planned != (len(test.says) > 0) || len(lost) > 0 {
				t.Errorf("planned is %v, lost %v", names(plan), lost)
			}
			if beyond := Beyond(declared, kept)[row.Name]; name == "a name more" && !slices.Equal(beyond, []string{"kube-apiserver.corp.example"}) || name == "another order" && len(beyond) > 0 {
				t.Errorf("beyond what was asked for: %v", beyond)
			}
		})
	}
}

// In perNode the nodes are in the certificate, and those of before may stay; nodes that are still to come are known by requests.
func TestNamesOfNodesThatComeAndGo(t *testing.T) {
	c := spec.Default("demo")
	c.Spec.Identity, c.Spec.EndpointReconciler = spec.PerNode, spec.ReconcilerLease
	before := Catalogue(topology.New(c))
	have, _ := complete(t, before, Bundle{}, now)
	c.Spec.Nodes = slices.DeleteFunc(c.Spec.Nodes, func(n spec.Node) bool { return n.Name == "cp-3" })
	after := Catalogue(topology.New(c))
	i := slices.IndexFunc(after, func(r Row) bool { return r.Name == APIServer })
	if err := Check(after[i], have.Pairs[APIServer], Pair{Cert: have.Pairs[CA].Cert}, now); err != nil {
		t.Errorf("a node has left: %v", err)
	}
	c.Spec.Nodes = append(c.Spec.Nodes, spec.Node{Name: "worker-9", Role: spec.RoleWorker, Address: "10.10.10.13"}) // that of cp-3
	if err := Check(Catalogue(topology.New(c))[i], have.Pairs[APIServer], Pair{Cert: have.Pairs[CA].Cert}, now); err == nil || !strings.Contains(err.Error(), "10.10.10.13") {
		t.Errorf("another node has its address: %v", err)
	}
	key, err := NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	come := Row{Name: Kubelet("worker-8"), CommonName: "worker-8", Usage: ForServer, DNSNames: []string{"worker-8"}}
	request, err := SigningRequest(come, key, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	asked, broken := Requested(map[string][]byte{come.Name: request}, after)
	if len(broken) > 0 {
		t.Fatal(broken)
	}
	pair := Pair{Key: key, Cert: signWith(t, request, have.Pairs[CA], now, func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "worker-1", "fine.example") })}
	if err := Check(asked[come.Name], pair, Pair{Cert: have.Pairs[CA].Cert}, now); err == nil || !strings.Contains(err.Error(), "it is good for worker-1 as well") {
		t.Errorf("a node that comes, with the name of another: %v", err)
	}
}

// The names that a certificate has so far are its own, where it is asked for with others: an authority that leaves them in takes nothing from
// anybody. Those of nodes are theirs all the same.
func TestOwnEarlierNames(t *testing.T) {
	c := spec.Default("demo")
	c.Spec.LoadBalancer.DNSNames = []string{"api.corp.example"}
	there := Catalogue(topology.New(c))
	have, _ := complete(t, there, Bundle{}, now)
	c.Spec.LoadBalancer.DNSNames = []string{"kube.corp.example"}
	asked := map[string][]byte{}
	key, err := NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range Catalogue(topology.New(c)) {
		if row.Name != APIServer && row.Name != Kubelet("worker-1") {
			continue
		}
		if asked[row.Name], err = SigningRequest(row, key, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	rows, broken := Requested(asked, there)
	if len(broken) > 0 {
		t.Fatal(broken)
	}
	for name, test := range map[string]struct{ row, more, says string }{
		"its own of before":       {APIServer, "api.corp.example", ""},
		"that of a node":          {APIServer, "worker-1", "it is good for worker-1 as well"},
		"another's of before":     {Kubelet("worker-1"), "api.corp.example", "it is good for api.corp.example as well"},
		"another's of afterwards": {Kubelet("worker-1"), "kube.corp.example", "it is good for kube.corp.example as well"},
	} {
		t.Run(name, func(t *testing.T) {
			cert := signWith(t, asked[test.row], have.Pairs[CA], now, func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, test.more) })
			err := Check(rows[test.row], Pair{Key: key, Cert: cert}, Pair{Cert: have.Pairs[CA].Cert}, now)
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v", err)
			}
		})
	}
}
