package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/spec"
)

// Where nobody can be asked the plan is shown, and nothing is done without --yes.
func TestAgreeWithoutATerminal(t *testing.T) {
	plan := &cluster.Plan{Steps: []change.Step{{ID: "restart@cp-1/etcd", Why: []change.Reason{{What: "flag v", New: "3"}}}}}
	for name, c := range map[string]struct {
		yes  bool
		code int
	}{"asked": {false, exitUsage}, "--yes": {true, exitOK}} {
		t.Run(name, func(t *testing.T) {
			in, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			shown, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
			if err != nil {
				t.Fatal(err)
			}
			a := &app{Streams: Streams{In: in, Err: shown}}
			yes, err := a.agree(func(*cluster.Plan) bool { return c.yes })(plan)
			if yes != c.yes || (err == nil) != c.yes {
				t.Errorf("%v, %v", yes, err)
			}
			if err != nil && (exitCode(err) != c.code || !strings.Contains(err.Error(), "--yes")) {
				t.Errorf("exit code %d, want %d; %v", exitCode(err), c.code, err)
			}
			if text, err := os.ReadFile(shown.Name()); err != nil || !strings.Contains(string(text), "restart@cp-1/etcd") {
				t.Errorf("shown: %s, %v", text, err)
			}
		})
	}
}

// That a key may be lost for good is no question that --yes answers.
func TestYesDoesNotAnswerForTheLastCopiesOfAKey(t *testing.T) {
	in, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	a := &app{Streams: Streams{In: in, Err: file}}
	plan := &cluster.Plan{LastCopies: true, Warnings: []string{"the key goes"}, Steps: []change.Step{{ID: "write-files@cp-1"}}}
	yes, err := a.agree(func(*cluster.Plan) bool { return true })(plan)
	var hinted *cluster.HintedError
	if yes || !errors.As(err, &hinted) || !strings.Contains(err.Error(), "--yes is no answer") || exitCode(err) != exitFailed {
		t.Errorf("%v, %v", yes, err)
	}
	if text, err := os.ReadFile(file.Name()); err != nil || !strings.Contains(string(text), "warning: the key goes") {
		t.Errorf("shown: %s, %v", text, err)
	}
}

func TestExitCode(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		code int
	}{
		"failed":                      {fmt.Errorf("start: %w", os.ErrNotExist), exitFailed},
		"usage":                       {usageError{os.ErrNotExist}, exitUsage},
		"a bad file":                  {fmt.Errorf("read: %w", &spec.FileError{}), exitUsage},
		"quorum":                      {fmt.Errorf("apply: %w", &change.Refused{Step: "member-remove@cp-1", Err: os.ErrInvalid}), exitRefused},
		"a field that stays":          {&spec.NotLiveError{Changes: []spec.FieldChange{{Field: "spec.identity"}}}, exitFailed},
		"data":                        {&spec.NotLiveError{Changes: []spec.FieldChange{{}, {Field: "spec.nodes[etcd-1]", LosesData: true}}}, exitRefused},
		"data, by a name in the call": {usageError{&cluster.NodeNameError{Err: &spec.NotLiveError{Changes: []spec.FieldChange{{LosesData: true}}}}}, exitRefused},
	} {
		t.Run(name, func(t *testing.T) {
			if got := exitCode(c.err); got != c.code {
				t.Errorf("%d, want %d", got, c.code)
			}
		})
	}
}
