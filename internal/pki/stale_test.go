package pki

import (
	"encoding/pem"
	"strings"
	"testing"
)

func pemOf(text string) []byte { return pem.EncodeToMemory(&pem.Block{Type: "X", Bytes: []byte(text)}) }

// Objects of then are told to be stale in no phase of a rotation that they live through.
func TestWhatWasRotatedSince(t *testing.T) {
	old := Bundle{Pairs: map[string]Pair{CA: {Cert: pemOf("ca 1")}, FrontProxyCA: {Cert: pemOf("front 1")}}, ServiceAccountPub: pemOf("sa 1")}
	in := func(b Bundle, phase Phase, names ...string) Bundle {
		for _, name := range names {
			b = b.During(phase, name, Pair{Cert: pemOf(name + " 2")})
		}
		return b
	}
	for name, test := range map[string]struct {
		then, now Bundle
		want      string
	}{
		"nothing":                               {old, old, ""},
		"a rotation of ca has begun":            {old, in(old, Trust, CA), ""},
		"ca signs anew":                         {old, in(old, Switch, CA), "ca"},
		"ca was rotated":                        {old, in(old, Drop, CA), "ca"},
		"both were trusted then":                {in(old, Trust, CA), in(old, Drop, CA), "ca"},
		"both are trusted now and then":         {in(old, Trust, CA), in(old, Switch, CA), ""},
		"the front proxy's signs anew":          {old, in(old, Switch, FrontProxyCA), ""},
		"the front proxy's was rotated":         {old, in(old, Drop, FrontProxyCA), "front-proxy-ca"},
		"tokens of the old key are good still":  {old, in(old, Switch, ServiceAccount), ""},
		"they are not any more":                 {old, in(old, Drop, ServiceAccount), "service-account"},
		"the new key signed already":            {in(old, Switch, ServiceAccount), in(old, Drop, ServiceAccount), ""},
		"the new key was only to sign":          {in(old, Trust, ServiceAccount), in(old, Drop, ServiceAccount), "service-account"},
		"both were rotated":                     {old, in(old, Drop, CA, ServiceAccount), "ca service-account"},
		"etcd's authority is in no object":      {old, in(old, Drop, EtcdCA), ""},
		"it is not told, by an older haplane's": {Bundle{}, old, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(GenerationsOf(test.then).Stale(test.now), " "); got != test.want {
				t.Errorf("rotated since: %q", got)
			}
		})
	}
}
