package nspawn

import (
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Who answers with the MAC address of a machine of the cluster is no stranger, and who does not answer is nobody.
func TestStrangersAreNoneOfOurs(t *testing.T) {
	p := &Provider{Cluster: "demo"}
	at := netip.MustParseAddr
	ours, other := hardwareAddr(at("10.9.0.4")), net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56}
	addresses := []netip.Addr{at("10.9.0.3"), at("10.9.0.5"), at("fd00::3"), at("10.9.0.6")}
	answered := map[netip.Addr]net.HardwareAddr{at("10.9.0.3"): ours, at("10.9.0.5"): other, at("fd00::3"): other, at("10.9.0.99"): other}
	got := p.strangers(addresses, answered, []net.HardwareAddr{hardwareAddr(at("10.9.0.11")), ours})
	want := []Stranger{{Address: at("10.9.0.5"), Bridge: "hp-demo", MAC: other}, {Address: at("fd00::3"), Bridge: "hp-demo", MAC: other}}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
}

func TestStrangerSaysWhoItIs(t *testing.T) {
	s := Stranger{Address: netip.MustParseAddr("10.9.0.3"), Bridge: "hp-demo", MAC: net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56}, Port: "vnet0"}
	unknown, host := s, s
	unknown.Port, host.MAC = "", nil
	for want, s := range map[string]Stranger{
		"10.9.0.3 is answered by the MAC address 52:54:00:12:34:56 at port vnet0 of bridge hp-demo, which is none of haplane's machines": s,
		"10.9.0.3 is answered by the MAC address 52:54:00:12:34:56 at bridge hp-demo, which is none of haplane's machines":               unknown,
		"this host itself has 10.9.0.3, on bridge hp-demo":                                                                               host,
	} {
		if s.String() != want {
			t.Errorf("%s, want %s", s, want)
		}
	}
}
