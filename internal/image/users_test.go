package image

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// machineOf writes a machine's record, of an image or, without a digest, an empty one.
func machineOf(t *testing.T, cache, home, name, digest string) (record string) {
	t.Helper()
	record = filepath.Join(home, name, "machine.json")
	if err := os.MkdirAll(filepath.Dir(record), 0o755); err != nil {
		t.Fatal(err)
	}
	text := ""
	if digest != "" {
		text = fmt.Sprintf(`{"image": %q}`, filepath.Join(imagesDir(cache), digest, "root"))
	}
	if err := os.WriteFile(record, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return record
}

func use(t *testing.T, cache, digest, record string) {
	t.Helper()
	if err := Use(filepath.Join(imagesDir(cache), digest, "root"), record); err != nil {
		t.Fatal(err)
	}
}

func TestUsers(t *testing.T) {
	cache, home := filledCache(t), t.TempDir()
	if users, err := Users(cache, filepath.Join(home, "none")); err != nil || len(users) > 0 {
		t.Errorf("no home: %v, %v", users, err)
	}
	for machine, digest := range map[string]string{"blue/machines/cp-1": newDigest, "blue/machines/lb-1": newDigest, "demo/machines/cp-1": newDigest, "old/machines/cp-1": oldDigest} {
		machineOf(t, cache, home, machine, digest)
	}
	if err := os.MkdirAll(filepath.Join(home, "half/machines/cp-1"), 0o755); err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{newDigest: {"blue", "demo"}, oldDigest: {"old"}}
	got, err := Users(cache, home)
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v\n%s", err, d)
	}
	if err := os.MkdirAll(filepath.Join(home, "named"), 0o755); err != nil {
		t.Fatal(err)
	}
	named := filepath.Join(home, "named", "record.json") // its machines are gone, or of another image
	if err := os.WriteFile(named, fmt.Appendf(nil, `{"versions": {"image": %q}, "previous": {"image": %q}}`, newDigest, oldDigest), 0o600); err != nil {
		t.Fatal(err)
	}
	want = map[string][]string{newDigest: {"blue", "demo", "named"}, oldDigest: {"named", "old"}}
	if got, err = Users(cache, home); cmp.Diff(want, got) != "" || err != nil {
		t.Errorf("%v\n%s", err, cmp.Diff(want, got))
	}
	if err := os.WriteFile(named, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = Users(cache, home); err == nil || !strings.Contains(err.Error(), named) {
		t.Errorf("an empty record of a cluster: %v", err)
	}
	if err := os.Remove(named); err != nil {
		t.Fatal(err)
	}
	want = map[string][]string{newDigest: {"blue", "demo"}, oldDigest: {"old"}}
	damaged := machineOf(t, cache, home, "red/machines/cp-1", "")
	got, err = Users(cache, home)
	if err == nil || !strings.Contains(err.Error(), damaged) || cmp.Diff(want, got) != "" {
		t.Errorf("an empty record: %v beside %v, want an error that names it and all others", err, got)
	}
	use(t, cache, oldDigest, damaged)
	want[oldDigest] = []string{"old", "red"}
	got, err = Users(cache, home)
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("an empty record of which the cache knows the image: %v\n%s", err, d)
	}
}

func TestImagesOfOtherHomesStay(t *testing.T) {
	cache, home, other := filledCache(t), t.TempDir(), t.TempDir()
	used := machineOf(t, cache, other, "blue/machines/cp-1", newDigest)
	gone := machineOf(t, cache, other, "green/machines/cp-1", oldDigest)
	moved := machineOf(t, cache, other, "blue/machines/cp-2", newDigest)
	use(t, cache, newDigest, used)
	use(t, cache, newDigest, used) // twice is once
	use(t, cache, oldDigest, gone)
	use(t, cache, oldDigest, moved) // made anew since
	if err := os.RemoveAll(filepath.Join(other, "green")); err != nil {
		t.Fatal(err)
	}
	users := func() (map[string][]string, error) { return Users(cache, home) }
	got, err := users()
	if d := cmp.Diff(map[string][]string{newDigest: {"blue in " + other}}, got); d != "" || err != nil {
		t.Errorf("%v\n%s", err, d)
	}
	if _, err := Remove(cache, []string{newDigest}, users); err == nil || !strings.Contains(err.Error(), "in use by blue in "+other) {
		t.Errorf("remove: %v", err)
	}
	if _, err := Prune(PruneOptions{Cache: cache, InUse: users, Keep: current}); err != nil {
		t.Fatal(err)
	}
	if left, err := List(cache); err != nil || len(left) != 1 || left[0].Digest != newDigest {
		t.Errorf("left: %v, %v", left, err)
	}
	if err := Unuse(filepath.Join(imagesDir(cache), newDigest, "root"), used); err != nil {
		t.Fatal(err)
	}
	if got, err := users(); err != nil || len(got) > 0 {
		t.Errorf("after it is not used any more: %v, %v", got, err)
	}
	if err := Use(filepath.Join(imagesDir(cache), oldDigest, "root"), used); err == nil {
		t.Error("an image that is gone is used")
	}
}

func TestUsersThatAreMounted(t *testing.T) {
	const mounts = `100 50 0:60 / /other/demo/machines/cp-1/root rw - overlay haplane.demo.cp-1 rw,lowerdir=/c/images/aaa/root,upperdir=/u,workdir=/w
101 50 0:61 / /var/lib/x rw - overlay overlay rw,lowerdir=/elsewhere/images/bbb/root,upperdir=/u,workdir=/w
102 50 0:62 / /other/demo/machines/cp-2/root rw - overlay haplane.demo.cp-2 rw,lowerdir=/c/images/ccc/root,upperdir=/u,workdir=/w
103 50 0:63 / /tmp rw - tmpfs tmpfs rw
`
	got := users{"ccc": {"demo"}}
	got.addMounts(mounts, "/c/images")
	if d := cmp.Diff(users{"aaa": {"demo"}, "ccc": {"demo"}}, got); d != "" {
		t.Error(d)
	}
}

// A machine that is made while somebody waits for the lock is seen.
func TestWhatIsInUseIsAskedUnderTheLock(t *testing.T) {
	cache := filledCache(t)
	locked := func() (map[string][]string, error) {
		_, err := Remove(cache, nil, nil)
		return nil, err
	}
	if _, err := Remove(cache, []string{oldDigest}, locked); err == nil || !strings.Contains(err.Error(), "using the cache") {
		t.Errorf("remove: %v, want an error of a second one that cannot have the lock", err)
	}
	if _, err := Prune(PruneOptions{Cache: cache, InUse: locked, Keep: current}); err == nil || !strings.Contains(err.Error(), "using the cache") {
		t.Errorf("prune: %v, want an error of a second one that cannot have the lock", err)
	}
}
