package kubeapi

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// A drained is a cluster that evicts: what evict says of a pod, and when it says nothing the
// pod is gone. It lists pods by node, which client-go's fake does not.
type drained struct {
	*fake.Clientset
	client *Client
	mu     sync.Mutex
	asked  []string // evictions, in any order
	evict  func(name string, tries int) error
}

func cluster(t *testing.T, evict func(name string, tries int) error, objects ...runtime.Object) *drained {
	typed := fake.NewClientset(append(objects, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w-1"}})...)
	d := &drained{Clientset: typed, client: newClient("https://test:6443", typed, nil, typed.Discovery()), evict: evict}
	pods := schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	typed.PrependReactor("list", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		selector := action.(clienttesting.ListAction).GetListRestrictions().Fields.String()
		found, err := typed.Tracker().List(pods, pods.GroupVersion().WithKind("Pod"), "")
		if err != nil {
			return true, nil, err
		}
		list := found.(*corev1.PodList)
		list.Items = slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return selector != "spec.nodeName="+p.Spec.NodeName })
		return true, list, nil
	})
	typed.PrependReactor("create", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		eviction := action.(clienttesting.CreateAction).GetObject().(*policyv1.Eviction)
		if uid := eviction.DeleteOptions.Preconditions.UID; *uid != types.UID("uid-"+eviction.Name) {
			t.Errorf("evicts %s with UID %s", eviction.Name, *uid)
		}
		d.mu.Lock()
		d.asked = append(d.asked, eviction.Name)
		tries := len(slices.DeleteFunc(slices.Clone(d.asked), func(n string) bool { return n != eviction.Name }))
		d.mu.Unlock()
		if err := d.evict(eviction.Name, tries); err != nil {
			return true, nil, err
		}
		return true, nil, typed.Tracker().Delete(pods, eviction.Namespace, eviction.Name)
	})
	return d
}

func yes(string, int) error { return nil }

func budgetRefuses(string, int) error {
	err := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0)
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: policyv1.DisruptionBudgetCause, Message: "no"}}
	return err
}

func pod(name, node, owner string, change ...func(*corev1.Pod)) *corev1.Pod {
	yes := true
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: types.UID("uid-" + name), Labels: map[string]string{"app": name}},
		Spec:       corev1.PodSpec{NodeName: node},
	}
	if owner != "" {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: owner, Name: "o", Controller: &yes}}
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func (d *drained) left(t *testing.T) []string {
	t.Helper()
	list, err := d.Tracker().List(schema.GroupVersionResource{Version: "v1", Resource: "pods"}, corev1.SchemeGroupVersion.WithKind("Pod"), "")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range list.(*corev1.PodList).Items {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return names
}

func TestDrain(t *testing.T) {
	mirror := func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} }
	finished := func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }
	volume := func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	}
	d := cluster(t, yes, pod("web", "w-1", "ReplicaSet"), pod("cache", "w-1", "ReplicaSet", volume), pod("job", "w-1", "", finished),
		pod("agent", "w-1", "DaemonSet"), pod("static", "w-1", "Node", mirror), pod("other", "w-2", "ReplicaSet"))
	var reports []string
	options := DrainOptions{Timeout: time.Minute, Report: func(s string) {
		if strings.HasPrefix(s, "evicting pod") {
			reports = append(reports, s)
		}
	}}
	for range 2 {
		if err := d.client.Drain(t.Context(), "w-1", options); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"agent", "other", "static"}, d.left(t)); diff != "" {
		t.Error("left: -want +got\n" + diff)
	}
	slices.Sort(d.asked)
	if diff := cmp.Diff([]string{"cache", "job", "web"}, d.asked); diff != "" {
		t.Error("evicted: -want +got\n" + diff)
	}
	slices.Sort(reports)
	if diff := cmp.Diff([]string{"evicting pod team/cache", "evicting pod team/job", "evicting pod team/web"}, reports); diff != "" {
		t.Error("reported: -want +got\n" + diff)
	}
	nodes, err := d.client.Nodes(t.Context())
	if err != nil || !nodes[0].Unschedulable {
		t.Errorf("not cordoned: %+v, error %v", nodes, err)
	}
}

func TestDrainWaitsForBudgets(t *testing.T) {
	d := cluster(t, func(name string, tries int) error {
		if tries == 1 {
			return budgetRefuses(name, tries)
		}
		return nil
	}, pod("web", "w-1", "ReplicaSet"))
	if err := d.client.Drain(t.Context(), "w-1", DrainOptions{Timeout: time.Minute}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"web", "web"}, d.asked); diff != "" {
		t.Error("-want +got\n" + diff)
	}
}

// A request that was cut off, before or after it cordoned the node, ends no drain.
func TestDrainCordonsAgain(t *testing.T) {
	for name, carriedOut := range map[string]bool{"before": false, "after": true} {
		t.Run(name, func(t *testing.T) {
			d := cluster(t, yes, pod("web", "w-1", "ReplicaSet"))
			patches := 0
			d.PrependReactor("patch", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
				if patches++; patches > 1 {
					return false, nil, nil
				}
				if carriedOut {
					n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w-1"}, Spec: corev1.NodeSpec{Unschedulable: true}}
					if err := d.Tracker().Update(schema.GroupVersionResource{Version: "v1", Resource: "nodes"}, n, ""); err != nil {
						t.Error(err)
					}
				}
				return true, nil, syscall.ECONNRESET
			})
			if err := d.client.Drain(t.Context(), "w-1", DrainOptions{Timeout: time.Minute}); err != nil {
				t.Fatal(err)
			}
			nodes, err := d.client.Nodes(t.Context())
			if err != nil || !nodes[0].Unschedulable || len(d.left(t)) > 0 || (patches == 1) != carriedOut {
				t.Errorf("%+v, %d requests, left %v, error %v", nodes, patches, d.left(t), err)
			}
		})
	}
}

// tells has the kubelet of w-1 tell something, or nothing.
func (d *drained) tells(t *testing.T, is bool) {
	t.Helper()
	ready := corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown"}
	if is {
		ready.Status, ready.Reason = corev1.ConditionTrue, "KubeletReady"
	}
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w-1"}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{ready}}}
	if err := d.Tracker().Update(schema.GroupVersionResource{Version: "v1", Resource: "nodes"}, n, ""); err != nil {
		t.Error(err)
	}
}

// A node that goes mute in the middle ends the drain, with its pods named. Pods without a controller are asked about first, where they
// would go with the Node.
func TestDrainOfAMuteNode(t *testing.T) {
	var d *drained
	goes := func(string, int) error {
		d.tells(t, false)
		return budgetRefuses("", 0)
	}
	d = cluster(t, goes, pod("web", "w-1", "ReplicaSet"))
	for range 2 { // it is mute from the beginning then
		err := d.client.Drain(t.Context(), "w-1", DrainOptions{Timeout: time.Minute})
		var mute *MuteError
		if !errors.As(err, &mute) || !slices.Equal(mute.Pods, []string{"team/web"}) {
			t.Fatalf("error %v", err)
		}
	}
	if len(d.asked) != 1 {
		t.Errorf("evicted %v", d.asked)
	}
	if err := d.Tracker().Add(pod("alone", "w-1", "")); err != nil {
		t.Fatal(err)
	}
	for stays, mute := range map[bool]bool{false: false, true: true} {
		err := d.client.Drain(t.Context(), "w-1", DrainOptions{Timeout: time.Minute, Stays: stays})
		var alone *UnmanagedError
		var silent *MuteError
		if errors.As(err, &silent) != mute || errors.As(err, &alone) == mute {
			t.Errorf("its Node stays: %v, error %v", stays, err)
		}
	}
	d.tells(t, true) // then they would be evicted
	err := d.client.Drain(t.Context(), "w-1", DrainOptions{Timeout: time.Minute, Stays: true})
	var alone *UnmanagedError
	if !errors.As(err, &alone) || len(d.asked) != 1 {
		t.Errorf("error %v, evicted %v", err, d.asked)
	}
}

// A kubelet that tells nothing gets some time, in which nothing is evicted; if it comes back its pods go as ever.
func TestDrainWaitsForAMuteNode(t *testing.T) {
	d := cluster(t, yes, pod("web", "w-1", "ReplicaSet"))
	d.tells(t, false)
	looks := 0
	d.PrependReactor("get", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
		if looks++; looks == 3 { // the first is that of the cordon
			if len(d.asked) > 0 {
				t.Errorf("evicted %v while it told nothing", d.asked)
			}
			d.tells(t, true)
		}
		return false, nil, nil
	})
	var reports []string
	err := d.client.Drain(t.Context(), "w-1", DrainOptions{Mute: time.Minute, Report: func(text string) { reports = append(reports, text) }})
	if err != nil || len(d.left(t)) > 0 || len(reports) == 0 || reports[0] != "its kubelet tells the API nothing: it gets 1m0s to come back" {
		t.Errorf("error %v, left %v, told %q", err, d.left(t), reports)
	}
	if err := d.Tracker().Add(pod("web", "w-1", "ReplicaSet")); err != nil {
		t.Fatal(err)
	}
	d.tells(t, false)
	began := time.Now()
	err = d.client.Drain(t.Context(), "w-1", DrainOptions{Mute: time.Hour, Timeout: 1500 * time.Millisecond})
	var mute *MuteError
	if took := time.Since(began); !errors.As(err, &mute) || took < 1500*time.Millisecond {
		t.Errorf("after %s: error %v", took, err)
	}
}

func TestDrainNamesWhatIsInTheWay(t *testing.T) {
	now := metav1.Now()
	leaving := func(finalizers ...string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.DeletionTimestamp, p.Finalizers = &now, finalizers }
	}
	budget := func(name, app string, needed int32) *policyv1.PodDisruptionBudget {
		return &policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name},
			Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}},
			Status:     policyv1.PodDisruptionBudgetStatus{CurrentHealthy: 2, DesiredHealthy: needed},
		}
	}
	d := cluster(t, func(name string, tries int) error {
		if name == "slow" {
			return apierrors.NewTooManyRequests("the server has too much to do", 0)
		}
		return budgetRefuses(name, tries)
	}, pod("web", "w-1", "ReplicaSet"), pod("db", "w-1", "StatefulSet", leaving("example.com/hold")), pod("tail", "w-1", "ReplicaSet", leaving()),
		pod("slow", "w-1", "ReplicaSet"), budget("web-budget", "web", 2), budget("other", "x", 9))
	err := d.client.Drain(t.Context(), "w-1", DrainOptions{Timeout: 300 * time.Millisecond})
	var remaining *DrainError
	if !errors.As(err, &remaining) {
		t.Fatalf("error %v of type %T", err, err)
	}
	slices.SortFunc(remaining.Pods, func(a, b RemainingPod) int { return strings.Compare(a.Name, b.Name) })
	want := []RemainingPod{
		{Namespace: "team", Name: "db", Why: "is held by finalizer example.com/hold", Finalizers: []string{"example.com/hold"}},
		{Namespace: "team", Name: "slow", Why: "the server has too much to do"},
		{Namespace: "team", Name: "tail", Why: "its containers have not ended yet"},
		{
			Namespace: "team", Name: "web", Why: "PodDisruptionBudget web-budget allows 0 disruptions (2 healthy, 2 needed)",
			Budgets: []Budget{{Name: "web-budget", Healthy: 2, NeedsToBeReady: 2}},
		},
	}
	if diff := cmp.Diff(want, remaining.Pods); diff != "" {
		t.Error("-want +got\n" + diff)
	}
	if !strings.Contains(err.Error(), "gave up waiting: drain node w-1: pod team/") {
		t.Errorf("error %v", err)
	}
}

// lane is a pod that measures.
func lane(name, node string) *corev1.Pod {
	p := pod(name, node, "")
	p.Labels["lane"] = "run-1"
	return p
}

func TestDrainStops(t *testing.T) {
	forbids := func(name string, _ int) error {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, name, errors.New("no such right"))
	}
	twoBudgets := func(string, int) error {
		return apierrors.NewInternalError(fmt.Errorf("This pod has more than one PodDisruptionBudget"))
	}
	tests := map[string]struct {
		evict func(string, int) error
		pods  []runtime.Object
		force bool
		node  string
		err   string
		left  []string
	}{
		"a bare pod":                    {yes, []runtime.Object{pod("bare", "w-1", ""), pod("web", "w-1", "ReplicaSet")}, false, "w-1", "nothing would make these pods anew: team/bare", []string{"bare", "web"}},
		"a bare pod, by force":          {yes, []runtime.Object{pod("bare", "w-1", "")}, true, "w-1", "", nil},
		"a bare pod that nobody misses": {yes, []runtime.Object{lane("lane", "w-1")}, false, "w-1", "", nil},
		"not allowed":                   {forbids, []runtime.Object{pod("web", "w-1", "ReplicaSet")}, false, "w-1", "drain node w-1: evict pod team/web at https://test:6443", []string{"web"}},
		"two budgets":                   {twoBudgets, []runtime.Object{pod("web", "w-1", "ReplicaSet")}, false, "w-1", "more than one PodDisruptionBudget", []string{"web"}},
		"no such node":                  {yes, nil, false, "w-9", "cordon node w-9", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := cluster(t, tt.evict, tt.pods...)
			err := d.client.Drain(t.Context(), tt.node, DrainOptions{Timeout: time.Minute, Force: tt.force, Expendable: "lane"})
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want one with %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.left, d.left(t)); diff != "" {
				t.Error("left: -want +got\n" + diff)
			}
		})
	}
}
