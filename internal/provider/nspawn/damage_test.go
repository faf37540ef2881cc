package nspawn

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// folder makes a machine's folder of the given files; those that end in / are folders.
func folder(t *testing.T, p *Provider, machine string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := p.dir(machine, name)
		dir := filepath.Dir(path)
		if strings.HasSuffix(name, "/") {
			dir = path
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(name, "/") {
			write(t, path, text)
		}
	}
}

// whole is the folder of a machine that ran, but for its record.
func whole(record ...string) map[string]string {
	files := map[string]string{consoleFile: "", "upper/": "", "data/etcd/": "", "data/containerd/": "", "data/kubelet/": ""}
	for _, text := range record {
		files[recordFile] = text
	}
	return files
}

func without(files map[string]string, name string) map[string]string {
	delete(files, name)
	return files
}

const goodRecord = `{"name":"cp-1","addresses":["10.73.11.2"],"image":"/image"}`

func TestLook(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		is    error // nil: none
		isNot error // nil: none
		says  string
	}{
		"whole":                               {whole(goodRecord), nil, nil, ""},
		"nothing":                             {nil, errNoRecord, ErrDamaged, "no record of machine cp-1"},
		"cut off before its record":           {map[string]string{"upper/etc/": "", "data/etcd/": ""}, errNoRecord, ErrDamaged, "no record"},
		"cut off, the record empty":           {map[string]string{"upper/": "", recordFile: ""}, errNoRecord, ErrDamaged, "unexpected end of JSON"},
		"power loss: the record empty":        {whole(""), errRecordLost, nil, "machine cp-1: damaged: its record is lost"},
		"power loss: the record garbage":      {whole("\x00\x00\x00"), errRecordLost, nil, recordFile},
		"power loss: no record":               {whole(), errRecordLost, nil, "its record is lost"},
		"the record of another machine":       {whole(strings.ReplaceAll(goodRecord, "cp-1", "cp-2")), errRecordLost, nil, "does not describe"},
		"its own files are gone":              {without(whole(goodRecord), "upper/"), ErrDamaged, errRecordLost, "/cp-1/upper is gone"},
		"etcd's data is gone, and its record": {without(whole(), "data/etcd/"), ErrDamaged, errRecordLost, "/cp-1/data/etcd is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			p := provider("demo", false)
			p.StateDir = t.TempDir()
			folder(t, p, "cp-1", c.files)
			_, err := p.look("cp-1")
			switch {
			case c.is == nil && err != nil, !errors.Is(err, c.is), c.isNot != nil && errors.Is(err, c.isNot):
				t.Errorf("error %v, want %v and not %v", err, c.is, c.isNot)
			case err != nil && !strings.Contains(err.Error(), c.says):
				t.Errorf("no %q in %q", c.says, err)
			}
		})
	}
}

func TestADamagedMachineDoesNotHideTheOthers(t *testing.T) {
	p := provider("demo", false)
	p.StateDir = t.TempDir()
	folder(t, p, "cp-1", whole(goodRecord))
	folder(t, p, "cp-2", whole(""))
	folder(t, p, "cp-4", without(whole(strings.ReplaceAll(goodRecord, "cp-1", "cp-4")), "upper/"))
	folder(t, p, "half", map[string]string{"upper/": ""})
	folder(t, p, "cp-3"+removing, whole(goodRecord))
	list, err := p.List()
	if err != nil || len(list) != 3 || list[1].Lost || !list[2].Lost || list[0].Damaged != "" || len(list[0].Addresses) != 1 || !strings.Contains(list[1].Damaged, "cp-2") {
		t.Errorf("list %+v, %v", list, err)
	}
	records, err := p.records(nil)
	if len(records) != 1 || records[0].Name != "cp-1" || !errors.Is(err, ErrDamaged) || strings.Contains(err.Error(), "cp-1") {
		t.Errorf("records %v, %v", records, err)
	}
	for name, want := range map[string]bool{"cp-1": true, "cp-2": true, "half": false, "cp-9": false} {
		if got := p.exist([]string{name}) == nil; got != want {
			t.Errorf("%s can be stopped: %v, want %v", name, got, want)
		}
	}
}

func TestAddressesOfOtherMachinesAreTaken(t *testing.T) {
	p := provider("demo", false)
	p.StateDir = t.TempDir()
	folder(t, p, "cp-1", whole(goodRecord))
	folder(t, p, "cp-2", whole(""))
	err := p.validateOthers([]Machine{{Name: "cp-4", Addresses: addrs("10.73.11.2")}})
	if got := errText(err); got != "address 10.73.11.2 of machine cp-4 is that of cp-1" {
		t.Errorf("got %q", got)
	}
	if err := p.validateOthers([]Machine{{Name: "cp-1", Addresses: addrs("10.73.11.2")}, {Name: "cp-4", Addresses: addrs("10.73.11.3")}}); err != nil {
		t.Error(err)
	}
}

// A machine that is made anew at the same address has the same hardware address:
// what the others have in their neighbour tables stays right.
func TestTheHardwareAddressFollowsFromTheAddress(t *testing.T) {
	for address, want := range map[string]string{"10.73.11.2": "02:68:0a:49:0b:02", "10.73.12.3": "02:68:0a:49:0c:03"} {
		if got := hardwareAddr(addrs(address)[0]).String(); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
	if hardwareAddr(addrs("fd00::3")[0]).String() == hardwareAddr(addrs("fd00::4")[0]).String() {
		t.Error("two addresses have one hardware address")
	}
}
