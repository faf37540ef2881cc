package kubeprobe

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"

	"github.com/haplane/haplane/internal/probe"
)

func configMap(version string, keys ...string) *corev1.ConfigMap {
	m := &corev1.ConfigMap{Data: map[string]string{}}
	m.Name, m.Namespace, m.Labels, m.ResourceVersion = "m", Namespace, map[string]string{Label: "me"}, version
	for _, k := range keys {
		m.Data[k] = ""
	}
	return m
}

func TestWatch(t *testing.T) {
	events := kwatch.NewFakeWithOptions(kwatch.FakeOptions{ChannelSize: 10})
	client := fake.NewClientset(configMap("5", "w1"))
	var versions []string
	client.PrependWatchReactor("configmaps", func(a ktesting.Action) (bool, kwatch.Interface, error) {
		versions = append(versions, a.(ktesting.WatchActionImpl).ListOptions.ResourceVersion)
		return true, events, nil
	})
	w := &watcher{"me", client}
	s, err := w.Open(context.Background(), "")
	if err != nil {
		t.Fatal(err)
	}
	events.Modify(configMap("6", "w1", "w2"))
	events.Action(kwatch.Bookmark, configMap("9"))
	gone := apierrors.NewResourceExpired("too old").Status()
	events.Error(&gone)
	var got []probe.Event
	for {
		var e probe.Event
		if e, err = s.Next(); err != nil {
			break
		}
		if len(e.Keys) == 2 {
			e.Keys = []string{"w1", "w2"} // in any order
		}
		got = append(got, e)
	}
	first := got[0].Version
	want := []probe.Event{{Keys: []string{"w1"}, Version: first}, {Keys: []string{"w1", "w2"}, Version: "6"}, {Version: "9"}}
	if d := cmp.Diff(want, got); d != "" || !errors.Is(err, probe.ErrExpired) {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	if s, err = w.Open(context.Background(), "9"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := s.Next(); err != io.EOF {
		t.Errorf("a stream that is closed gives %v", err)
	}
	if d := cmp.Diff([]string{first, "9"}, versions); d != "" {
		t.Errorf("watched from (-want +got):\n%s", d)
	}
}

func TestWatchFromTooOldAVersion(t *testing.T) {
	for name, test := range map[string]struct {
		err     error
		expired bool
	}{
		"expired": {apierrors.NewResourceExpired("too old"), true},
		"gone":    {apierrors.NewGone("gone"), true},
		"refused": {errors.New("connection refused"), false},
	} {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset()
			client.PrependWatchReactor("configmaps", func(ktesting.Action) (bool, kwatch.Interface, error) { return true, nil, test.err })
			_, err := (&watcher{"me", client}).Open(t.Context(), "1")
			if errors.Is(err, probe.ErrExpired) != test.expired || !errors.Is(err, test.err) {
				t.Error(err)
			}
		})
	}
}
