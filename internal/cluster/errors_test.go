package cluster

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/apply"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/runtime/systemd/systemdtest"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/spec"
)

func TestExplainShowsTheUnitsLog(t *testing.T) {
	e, h := newEnv(spec.Default("demo"), testOptions(t, store.Store{})), systemdtest.New("cp-2")
	h.Answer = func([]string) (string, error) { return "first\nflag provided but not defined\n", nil }
	e.reach = func(string) machine.Machine { return h }
	ctx, cancel := context.WithCancel(t.Context())
	err := e.explain(ctx, errors.Join(errors.New("other"), &apply.UnitError{Node: "cp-2", Unit: "etcd", Err: errors.New("not ready")}))
	var hinted *HintedError
	if !errors.As(err, &hinted) || hinted.Hint != "haplane logs cp-2 etcd --cluster demo" {
		t.Errorf("hint of %v", err)
	}
	if diff := cmp.Diff([]string{"first", "flag provided but not defined"}, hinted.Log); diff != "" {
		t.Error(diff)
	}
	if plain := errors.New("x"); e.explain(ctx, plain) != plain {
		t.Error("an error that is not about a unit changed")
	}
	cancel()
	if cut := (&apply.UnitError{Node: "cp-2", Unit: "etcd", Err: ctx.Err()}); e.explain(ctx, cut) != error(cut) {
		t.Error("a unit is blamed for the user's interrupt")
	}
}
