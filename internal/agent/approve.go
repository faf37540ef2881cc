package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/haplane/haplane/internal/render"
)

// approveEvery is how long a kubelet waits at most. A look is one list that the API server has in memory.
const approveEvery = 2 * time.Second

// An approver approves what kubelets ask for to serve, while it leads: Kubernetes signs these requests, and leaves it
// to others to say yes. What it does not approve it leaves as it is: the record may lag behind a node that joins.
type approver struct {
	client  kubernetes.Interface
	status  *status
	log     *slog.Logger
	refused map[types.UID]bool // told of already
}

func (a *approver) run(ctx context.Context) {
	tick := time.NewTicker(approveEvery)
	defer tick.Stop()
	for {
		if err := a.look(ctx); err != nil && ctx.Err() == nil {
			a.status.failed()
			a.log.Warn("approve certificates of kubelets", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look approves all that may be.
func (a *approver) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	list, err := a.client.CertificatesV1().CertificateSigningRequests().List(ctx, metav1.ListOptions{ResourceVersion: "0",
		FieldSelector: fields.OneTermEqualSelector("spec.signerName", certificatesv1.KubeletServingSignerName).String()})
	if err != nil {
		return fmt.Errorf("list requests: %w", err)
	}
	var recorded map[string]string
	var errs []error
	told := map[types.UID]bool{}
	for i := range list.Items {
		csr := &list.Items[i]
		if csr.Spec.SignerName != certificatesv1.KubeletServingSignerName || len(csr.Status.Conditions) > 0 {
			continue // what is approved or denied is done with
		}
		if recorded == nil {
			if recorded, err = a.recorded(ctx); err != nil {
				return err
			}
		}
		if why := mayServe(csr, recorded); why != nil {
			if told[csr.UID] = true; !a.refused[csr.UID] {
				a.status.requests.WithLabelValues("refused").Inc()
				a.log.Warn("not approved", "request", csr.Name, "user", csr.Spec.Username, "why", why)
			}
			continue
		}
		errs = append(errs, a.approve(ctx, csr)) // and go on: no node keeps others waiting
	}
	a.refused = told
	return errors.Join(errs...)
}

// recorded are the names that kubelets have, by node.
func (a *approver) recorded(ctx context.Context) (map[string]string, error) {
	m, err := a.client.CoreV1().ConfigMaps(metav1.NamespaceSystem).Get(ctx, render.KubeletNamesMap, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read which names kubelets have: %w", err)
	}
	if m.Data == nil {
		m.Data = map[string]string{}
	}
	return m.Data, nil
}

func (a *approver) approve(ctx context.Context, csr *certificatesv1.CertificateSigningRequest) error {
	csr.Status.Conditions = append(csr.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{Type: certificatesv1.CertificateApproved,
		Status: corev1.ConditionTrue, Reason: "HaplaneApprove", Message: "The kubelet asks for names that haplane's record has of its node."})
	_, err := a.client.CertificatesV1().CertificateSigningRequests().UpdateApproval(ctx, csr.Name, csr, metav1.UpdateOptions{})
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil // it is looked at anew
	}
	if err != nil {
		return fmt.Errorf("approve %s of %s: %w", csr.Name, csr.Spec.Username, err)
	}
	a.status.requests.WithLabelValues("approved").Inc()
	a.log.Info("approved", "request", csr.Name, "user", csr.Spec.Username)
	return nil
}
