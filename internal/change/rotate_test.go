package change

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/pki"
)

// rotating is a cluster that is to be brought to a phase, with the Nodes that are Ready.
func rotating(t *testing.T, name string, phase pki.Phase) Input {
	t.Helper()
	in := healthy(wanted(t, three...))
	in.Rotate = &Rotation{Name: name, Phase: phase, Start: true}
	for _, n := range in.Wanted.Nodes {
		in.Observed.Nodes[n.Name] = observed.Node{Ready: true}
	}
	return in
}

// restarts has the programs of all control-plane nodes run with another configuration.
func restarts(in *Input) {
	for _, n := range in.Wanted.ControlPlane() {
		for u, state := range in.Observed.Machines[n.Name].Units {
			state.Config = "old"
			in.Observed.Machines[n.Name].Units[u] = state
		}
	}
}

// Each phase ends with its proof, and what the old generation is needed for is asked before anything is dropped.
func TestPhasesAreProved(t *testing.T) {
	for phase, want := range map[pki.Phase][]string{pki.Trust: {ProveTrust}, pki.Switch: {RewriteSecrets, ProveSwitch}, pki.Drop: {ProveUnused, ProveDrop}} {
		in := rotating(t, pki.RotateEncryption, phase)
		if c := plan(t, in); !slices.Equal(ids(c), want) {
			t.Errorf("%s: steps %v, want %v", phase, ids(c), want)
		}
		restarts(&in)
		c := plan(t, in)
		last := c.Steps[len(c.Steps)-1].ID
		for _, s := range c.Steps[:len(c.Steps)-1] {
			if !reaches(c, last, s.ID) {
				t.Errorf("%s: %s does not come after %s", phase, last, s.ID)
			}
			if phase == pki.Drop && s.ID != ProveUnused && !reaches(c, s.ID, ProveUnused) {
				t.Errorf("%s does not come after %s", s.ID, ProveUnused)
			}
		}
	}
}

// A phase does not begin while a node is away, and one that is cut off takes it along when it is back.
func TestNobodyIsLeftOutOfARotation(t *testing.T) {
	tests := map[string]struct {
		change func(*Input)
		why    string
	}{
		"a machine that is off":        {func(in *Input) { dies(in, "worker-1", false) }, "worker-1 is away"},
		"an API server":                {func(in *Input) { in.Observed.APIServers["cp-2"] = observed.APIServer{Error: "refused"} }, "cp-2 is not well: refused"},
		"a Node":                       {func(in *Input) { in.Observed.Nodes["worker-1"] = observed.Node{} }, "the Node worker-1 is not Ready"},
		"one that has not wholly come": {func(in *Input) { in.Record[3].State = Joining }, "worker-1 is joining"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := rotating(t, pki.RotateCA, pki.Switch)
			test.change(&in)
			_, err := Plan(in)
			var refused *Refused
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), test.why) {
				t.Errorf("error %v, want %s", err, test.why)
			}
			in.Rotate.Start = false
			c := plan(t, in)
			if last := c.Steps[len(c.Steps)-1].ID; last != ProveSwitch {
				t.Errorf("steps %v", ids(c))
			}
		})
	}
}

// Who dies while the old generation is dropped could not be asked whether it still uses that, and is made anew.
func TestALostNodeDoesNotHoldUpADrop(t *testing.T) {
	in := rotating(t, pki.RotateCA, pki.Drop)
	in.Rotate.Start = false
	dies(&in, "cp-2", true)
	in.Replace = []string{"cp-2"}
	c := plan(t, in)
	before(t, c, "remove-machine@cp-2", "create-machine@cp-2", ProveDrop)
	if _, asked := c.Step(ProveUnused); asked {
		t.Errorf("steps %v", ids(c))
	}
}

// A rotation that is taken back leaves nothing that API servers have published of the next authority, once all of them have the files of before.
func TestWhatWasPublishedIsTakenBack(t *testing.T) {
	for name, want := range map[string]bool{pki.RotateCA: true, pki.RotateFrontProxyCA: true, pki.RotateEtcdCA: false, pki.RotateServiceAccount: false} {
		in := rotating(t, name, "")
		in.Rotate = &Rotation{Name: name, Back: true}
		restarts(&in)
		c := plan(t, in)
		if _, is := c.Step(Unpublish); is != want {
			t.Errorf("%s: steps %v", name, ids(c))
		}
		if want {
			before(t, c, "start@cp-1/kube-apiserver", "start@cp-3/kube-apiserver", Unpublish)
		}
	}
}
