package parse

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTimeSpan(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90": 90 * time.Second, "0": 0, "1min 30s": 90 * time.Second, "1min30s": 90 * time.Second, " 5 s ": 5 * time.Second, "1.5h": 90 * time.Minute,
		".5s": 500 * time.Millisecond, "2.s": 2 * time.Second, "100ms": 100 * time.Millisecond, "7us": 7 * time.Microsecond, "7µs": 7 * time.Microsecond,
		"1d 2h": 26 * time.Hour, "1w": 168 * time.Hour, "2M": 2 * 2629800 * time.Second, "1month": 2629800 * time.Second,
		"12months": 31557600 * time.Second, "1y": 31557600 * time.Second, "infinity": Forever, "999999999y": Forever, "99999999999999999999": Forever,
	} {
		t.Run(text, func(t *testing.T) {
			got, err := TimeSpan(text)
			if err != nil || got != want {
				t.Errorf("%s, %v; want %s", got, err, want)
			}
		})
	}
	for _, text := range []string{"", " ", "-5", "s", "5 parsecs", "5s,", "5S", "in finity", "1e3", ".", "\x00"} {
		t.Run("not "+text, func(t *testing.T) {
			if got, err := TimeSpan(text); err == nil {
				t.Errorf("%s", got)
			}
		})
	}
}

func TestStopTimeout(t *testing.T) {
	for _, tt := range []struct {
		settings map[string]string
		want     time.Duration
	}{
		{nil, 90 * time.Second},
		{map[string]string{"TimeoutStopSec": "5"}, 5 * time.Second},
		{map[string]string{"TimeoutStopSec": "0"}, Forever},
		{map[string]string{"TimeoutStopSec": "infinity"}, Forever},
		{map[string]string{"TimeoutStopSec": "soon"}, 0},
	} {
		if got := StopTimeout(tt.settings); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.settings, got, tt.want)
		}
	}
}

func TestUnitStates(t *testing.T) {
	got := UnitStates(`Id=kubelet.service
MainPID=812
TimeoutStopUSec=1min 30s
ActiveState=active
FragmentPath=/lib/systemd/system/kubelet.service
DropInPaths=/etc/systemd/system/kubelet.service.d/10-kubeadm.conf /etc/systemd/system/kubelet.service.d/20=x.conf
UnitFileState=enabled

Id=nginx.service
MainPID=0
TimeoutStopUSec=infinity
ActiveState=inactive
FragmentPath=
DropInPaths=
UnitFileState=

Unknown=x

Id=run.service
ActiveState=failed
UnitFileState=enabled-runtime
MainPID=x
TimeoutStopUSec=0
`)
	want := []UnitState{
		{Name: "kubelet.service", Active: "active", Enabled: true, Path: "/lib/systemd/system/kubelet.service", MainPID: 812, StopTimeout: 90 * time.Second,
			DropIns: []string{"/etc/systemd/system/kubelet.service.d/10-kubeadm.conf", "/etc/systemd/system/kubelet.service.d/20=x.conf"}},
		{Name: "nginx.service", Active: "inactive", StopTimeout: Forever, DropIns: []string{}},
		{Name: "run.service", Active: "failed", Enabled: true, StopTimeout: Forever},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for state, enabled := range map[string]bool{"enabled": true, "generated": true, "static": false, "disabled": false, "masked": false, "linked": false} {
		if s := UnitStates("Id=x\nUnitFileState=" + state + "\n"); s[0].Enabled != enabled {
			t.Errorf("%s: enabled %t", state, s[0].Enabled)
		}
	}
}

func FuzzTimeSpan(f *testing.F) {
	f.Add("1min 30s")
	f.Add("99999999999999999999.5y infinity")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := TimeSpan(text)
		if d < 0 || err != nil && d != 0 {
			t.Errorf("%q: %s, %v", text, d, err)
		}
		UnitStates("Id=x\nTimeoutStopUSec=" + text)
		if d := haproxyTime(text); d < 0 {
			t.Errorf("%q in HAProxy: %s", text, d)
		}
		if d := nginxTime(text, 0); d < 0 {
			t.Errorf("%q in nginx: %s", text, d)
		}
	})
}
