package haproxyapi

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseStat(t *testing.T) {
	text, err := os.ReadFile("testdata/stat.csv")
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseStat(string(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []Backend{{
		Name: "api", Status: "UP", Sessions: Sessions{Current: 3, Total: 41},
		Servers: []Server{
			{
				Backend: "api", Name: "cp-1", Address: "10.10.10.11:6443", Status: "UP",
				LastCheck:  Check{Status: "L7OK", Code: 200, Description: "OK", Took: 4 * time.Millisecond},
				Sessions:   Sessions{Current: 2, Total: 30},
				LastChange: 75 * time.Second, Downtime: 12 * time.Second,
			},
			{
				Backend: "api", Name: "cp-2", Address: "10.10.10.12:6443", Status: "UP 1/2",
				LastCheck: Check{
					Status: "L7STS", Code: 500, Took: 7 * time.Millisecond,
					Description: `HTTP status check returned code <3C>500<3E>, "no"`,
				},
				Sessions:   Sessions{Current: 1, Total: 11},
				LastChange: 3 * time.Second,
			},
			{
				Backend: "api", Name: "cp-3", Address: "10.10.10.13:6443", Status: "MAINT",
				LastChange: time.Second, Downtime: time.Second,
			},
		},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("-want +got\n" + diff)
	}
	var up []string
	for _, server := range got[0].Servers {
		if server.Up() {
			up = append(up, server.Name)
		}
	}
	if diff := cmp.Diff([]string{"cp-1", "cp-2"}, up); diff != "" {
		t.Error("up: -want +got\n" + diff)
	}
}

func TestParseStatErrors(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"empty":           {"", "empty answer"},
		"unknown command": {"Unknown command, but maybe one of the following\n", `no column "pxname"`},
		"not a number":    {"# pxname,svname,status,scur\napi,cp-1,UP,many\n", "api/cp-1: column scur"},
		"broken quotes":   {"# pxname,svname,status\napi,\"cp-1,UP\n", "quote"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ParseStat(tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

const stateHeader = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_fqdn srv_port\n"

func TestParseServersState(t *testing.T) {
	got, err := ParseServersState(stateHeader +
		"3 api 1 cp-1 10.10.10.11 2 0 1 - 6443\n3 api 2 cp-2 fd00::12 0 5 1 - 6443\n3 api 3 cp-3 10.10.10.13 2 8 1 - 6443\n\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []ServerState{
		{Backend: "api", Name: "cp-1", Address: netip.MustParseAddrPort("10.10.10.11:6443"), Operation: Running},
		{Backend: "api", Name: "cp-2", Address: netip.MustParseAddrPort("[fd00::12]:6443"), Operation: Stopped, Admin: AdminMaint | AdminMaintConf},
		{Backend: "api", Name: "cp-3", Address: netip.MustParseAddrPort("10.10.10.13:6443"), Operation: Running, Admin: AdminDrain},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Error("-want +got\n" + diff)
	}
	if !got[0].Admin.Ready() || got[1].Admin.Ready() {
		t.Error("only cp-1 is ready")
	}
}

func TestParseServersStateErrors(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"unknown backend": {"Can't find backend.\n", "version 1 expected"},
		"no header":       {"1\n", "no header"},
		"short line":      {stateHeader + "3 api 1 cp-1\n", "no column srv_addr"},
		"not an address":  {stateHeader + "3 api 1 cp-1 nowhere 2 0 1 - 6443\n", "nowhere"},
		"not a port":      {stateHeader + "3 api 1 cp-1 10.10.10.11 2 0 1 - 70000\n", "70000"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ParseServersState(tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}
