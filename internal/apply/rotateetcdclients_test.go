package apply

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Who is connected to etcd's client port, in both tables, is found by what the kernel prints.
func TestWhoIsConnected(t *testing.T) {
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n"
	first := head +
		"   0: 00000000:094B 00000000:0000 0A 00000000:00000000 00:00000000\n" + // listens
		"   1: 0B0A0A0A:094B 0100000A:D431 01 00000000:00000000 02:00000000\n" + // 10.0.0.1, stays
		"   2: 0B0A0A0A:094B 0200000A:D432 01 00000000:00000000 02:00000000\n" + // goes
		"   3: 0B0A0A0A:094B 0300000A:D433 06 00000000:00000000 02:00000000\n" + // has ended
		"   4: 0B0A0A0A:D434 0B0A0A0A:094B 01 00000000:00000000 02:00000000\n" + // a client itself
		head +
		"   5: 0000000000000000FFFF00000B0A0A0A:094B 0000000000000000FFFF00000400000A:D435 01 0\n" + // 10.0.0.4
		"   6: 000010FD000000000000000001000000:094B 000010FD000000000000000015000000:D436 01 0\n" +
		"   7: half a line\n"
	again := head +
		"   1: 0B0A0A0A:094B 0100000A:D431 01 0\n" +
		"   5: 0000000000000000FFFF00000B0A0A0A:094B 0000000000000000FFFF00000400000A:D435 01 0\n" +
		"   6: 000010FD000000000000000001000000:094B 000010FD000000000000000015000000:D436 01 0\n" +
		"   7: 0B0A0A0A:094B 0700000A:D437 01 0\n" // has just come
	var got []string
	for _, c := range lasting(first+"again\n"+again, 2379) {
		got = append(got, c.String())
	}
	if diff := cmp.Diff([]string{"10.0.0.1:54321", "10.0.0.4:54325", "[fd10::15]:54326"}, got); diff != "" {
		t.Error(diff)
	}
	if got := lasting("", 2379); len(got) > 0 {
		t.Errorf("of nothing: %v", got)
	}
}
