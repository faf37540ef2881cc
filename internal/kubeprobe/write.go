package kubeprobe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/haplane/haplane/internal/probe"
)

// Each write puts one key into a ConfigMap, so that every one can be looked for
// later. A ConfigMap has few of them, and neighbours are in different ones: writes that
// are under way together seldom meet in one object.
const (
	keysEach   = 50
	sideBySide = 8
)

// A writer writes keys on new connections.
type writer struct {
	run    string
	http   *http.Client
	maps   *url.URL // of the ConfigMaps
	client kubernetes.Interface
}

func (t *Target) writes() (probe.Lane, error) {
	w := &writer{run: t.run}
	var err error
	if w.http, err = httpClient(t.config, newConnections); err != nil {
		return probe.Lane{}, err
	}
	if w.client, err = kubernetes.NewForConfig(t.config); err != nil {
		return probe.Lane{}, err
	}
	server, _, err := rest.DefaultServerUrlFor(t.config)
	if err != nil {
		return probe.Lane{}, err
	}
	w.maps = server.JoinPath("/api/v1/namespaces", Namespace, "configmaps")
	return probe.Lane{Name: Write, Writes: w}, nil
}

// Write patches the key's ConfigMap, and makes it where it is the first there.
func (w *writer) Write(ctx context.Context, key string) error {
	name, err := w.mapOf(key)
	if err != nil {
		return err
	}
	object := corev1.ConfigMap{Data: map[string]string{key: ""}}
	object.Name, object.Labels = name, map[string]string{Label: w.run}
	object.APIVersion, object.Kind = "v1", "ConfigMap"
	patch := func() error {
		return w.send(ctx, http.MethodPatch, w.maps.JoinPath(name), map[string]any{"data": object.Data})
	}
	if err = patch(); !isStatus(err, http.StatusNotFound) {
		return err
	}
	if err = w.send(ctx, http.MethodPost, w.maps, &object); !isStatus(err, http.StatusConflict) {
		return err
	}
	return patch() // another write has made it meanwhile
}

// mapOf is the ConfigMap of a key, which is a letter and a number.
func (w *writer) mapOf(key string) (string, error) {
	n, err := strconv.Atoi(strings.TrimLeft(key, "w"))
	if err != nil {
		return "", fmt.Errorf("key %s: %w", key, err)
	}
	group := n/(keysEach*sideBySide)*sideBySide + n%sideBySide
	return fmt.Sprintf("haplane-probe-%s-%d", w.run, group), nil
}

func isStatus(err error, code int) bool {
	var status *statusError
	return errors.As(err, &status) && status.code == code
}

func (w *writer) send(ctx context.Context, method string, to *url.URL, object any) error {
	body, err := json.Marshal(object)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	kind := "application/json"
	if method == http.MethodPatch {
		kind = string(types.MergePatchType)
	}
	request.Header.Set("Content-Type", kind)
	return send(w.http, request)
}

func (w *writer) selected() metav1.ListOptions {
	return metav1.ListOptions{LabelSelector: Label + "=" + w.run}
}

// Stored lists the keys of all ConfigMaps of the run, read by quorum.
func (w *writer) Stored(ctx context.Context) ([]string, error) {
	list, err := w.client.CoreV1().ConfigMaps(Namespace).List(ctx, w.selected())
	if err != nil {
		return nil, err
	}
	return keys(list.Items...), nil
}

func keys(maps ...corev1.ConfigMap) []string {
	var out []string
	for _, m := range maps {
		for key := range m.Data {
			out = append(out, key)
		}
	}
	return out
}

// Remove deletes the ConfigMaps of the run, and what runs that were killed have left.
func (w *writer) Remove(ctx context.Context) error {
	maps := w.client.CoreV1().ConfigMaps(Namespace)
	if err := maps.DeleteCollection(ctx, metav1.DeleteOptions{}, w.selected()); err != nil {
		return err
	}
	all, err := maps.List(ctx, metav1.ListOptions{LabelSelector: Label})
	if err != nil {
		return err
	}
	for _, m := range all.Items {
		if err := deleteOld(ctx, &m, maps.Delete); err != nil {
			return err
		}
	}
	return nil
}
