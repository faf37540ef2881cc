package kubeprobe

import (
	"context"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/haplane/haplane/internal/probe"
)

// A watcher watches what the writer of the same run writes, with client-go's client:
// it reuses its connection and notices after 45 s that nobody is at the other end.
type watcher struct {
	run    string
	client kubernetes.Interface
}

func (t *Target) watches() (probe.Lane, error) {
	client, err := kubernetes.NewForConfig(t.config)
	return probe.Lane{Name: Watch, Watch: &watcher{t.run, client}}, err
}

// Open lists first where there is no version to go on after, as a reflector does.
func (w *watcher) Open(ctx context.Context, version string) (probe.Stream, error) {
	maps := w.client.CoreV1().ConfigMaps(Namespace)
	options := metav1.ListOptions{LabelSelector: Label + "=" + w.run}
	var first []probe.Event
	if version == "" {
		list, err := maps.List(ctx, options)
		if err != nil {
			return nil, err
		}
		version = list.ResourceVersion
		first = []probe.Event{{Keys: keys(list.Items...), Version: version}}
	}
	options.ResourceVersion, options.AllowWatchBookmarks = version, true
	events, err := maps.Watch(ctx, options)
	if err != nil {
		return nil, expired(err)
	}
	return &stream{events, first}, nil
}

// expired tells a version that is too old from what another attempt may mend.
func expired(err error) error {
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return fmt.Errorf("%w: %w", probe.ErrExpired, err)
	}
	return err
}

type stream struct {
	kwatch.Interface
	first []probe.Event
}

// Close ends the watch.
func (s *stream) Close() { s.Stop() }

// Next is the next event, first of all of what was listed.
func (s *stream) Next() (probe.Event, error) {
	if len(s.first) > 0 {
		event := s.first[0]
		s.first = s.first[1:]
		return event, nil
	}
	event, ok := <-s.ResultChan()
	if !ok {
		return probe.Event{}, io.EOF
	}
	if event.Type == kwatch.Error {
		return probe.Event{}, expired(apierrors.FromObject(event.Object))
	}
	object, ok := event.Object.(*corev1.ConfigMap)
	if !ok {
		return probe.Event{}, errors.New("an event without a ConfigMap")
	}
	if event.Type == kwatch.Bookmark {
		return probe.Event{Version: object.ResourceVersion}, nil
	}
	return probe.Event{Keys: keys(*object), Version: object.ResourceVersion}, nil
}
