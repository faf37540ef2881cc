package kubeprobe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/internal/probe"
)

// Bounds of what a pod takes. Its log is kept by kubelet, so that it has what was
// seen while the API was away.
const (
	startTime  = time.Minute
	deleteTime = 15 * time.Second
	look       = 200 * time.Millisecond
)

// A pod is a lane that is walked on a node: in the pod's network, or in the machine's own.
type pod struct {
	client kubernetes.Interface
	run    string
	kind   string
	node   string
	read   func(ctx context.Context, name string) (string, error)

	name    string // once it may exist
	started bool
}

func (p *pod) Start(ctx context.Context, s probe.Schedule) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	nodes, err := p.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list nodes: %w", err)
	}
	node, image, err := place(nodes.Items, p.node)
	if err != nil {
		return err
	}
	object := manifest(p.run, p.kind, node, image, s)
	p.name = object.Name
	pods := p.client.CoreV1().Pods(Namespace)
	if _, err := pods.Create(ctx, object, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create pod %s: %w", p.name, err)
	}
	err = poll.Until(ctx, look, func(ctx context.Context) error {
		text, err := p.log(ctx)
		if err != nil {
			return err
		}
		_, until, err := samples(text)
		if err == nil && until == 0 {
			err = errors.New("it has printed nothing yet")
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("wait for pod %s on %s: %w", p.name, node, err)
	}
	p.started = true
	return nil
}

// log fails at once where the pod has ended.
func (p *pod) log(ctx context.Context) (string, error) {
	text, err := p.read(ctx, p.name)
	if err == nil && strings.HasPrefix(text, "error: ") {
		err = poll.Stop(errors.New(strings.TrimSpace(text)))
	}
	return text, err
}

// readLog reads the log of a pod.
func readLog(client kubernetes.Interface) func(context.Context, string) (string, error) {
	return func(ctx context.Context, name string) (string, error) {
		text, err := client.CoreV1().Pods(Namespace).GetLogs(name, &corev1.PodLogOptions{}).DoRaw(ctx)
		return string(text), err
	}
}

// Stop reads what was printed of the requests that were due until now, and deletes the pod.
func (p *pod) Stop(ctx context.Context) (out []probe.Sample, err error) {
	if p.name == "" {
		return nil, nil
	}
	defer func() { err = errors.Join(err, p.delete(ctx)) }()
	if !p.started {
		return nil, nil
	}
	now := time.Now()
	err = poll.Until(ctx, look, func(ctx context.Context) error {
		text, err := p.log(ctx)
		if err != nil {
			return err
		}
		var until int64
		if out, until, err = samples(text); err != nil {
			return poll.Stop(err)
		}
		if until < now.UnixMicro() {
			return fmt.Errorf("its log is of requests until %s", time.UnixMicro(until).Format(time.TimeOnly))
		}
		return nil
	})
	if err != nil {
		err = fmt.Errorf("read log of pod %s: %w", p.name, err)
	}
	return before(out, now), err
}

func before(all []probe.Sample, end time.Time) []probe.Sample {
	var out []probe.Sample
	for _, s := range all {
		if s.Due.Before(end) {
			out = append(out, s)
		}
	}
	return out
}

// delete deletes the pod, and those that runs that were killed have left.
func (p *pod) delete(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteTime)
	defer cancel()
	pods := p.client.CoreV1().Pods(Namespace)
	err := poll.Until(ctx, look, func(ctx context.Context) error {
		err := pods.Delete(ctx, p.name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("delete pod %s: %w", p.name, err)
	}
	all, err := pods.List(ctx, metav1.ListOptions{LabelSelector: Label})
	if err != nil {
		return fmt.Errorf("list pods of earlier runs: %w", err)
	}
	for _, o := range all.Items {
		if err := deleteOld(ctx, &o, pods.Delete); err != nil {
			return fmt.Errorf("delete pod %s of an earlier run: %w", o.Name, err)
		}
	}
	return nil
}
