package collect

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/xray/evidence"
)

// talk asks over connections of its own, which verify the certificate again.
func (t target) talk(ctx context.Context, config *rest.Config, out *evidence.Server, limit time.Duration) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, silence{limit})
	defer cancel()
	config = rest.CopyConfig(config)
	config.Host, config.ServerName, config.Insecure = "https://"+t.address, t.serverName, false
	config.APIPath = ""
	config.WarningHandlerWithContext = rest.NoWarnings{}
	client, err := kubeapi.New(config)
	if err != nil {
		out.Err = plain(err)
		return
	}
	var group sync.WaitGroup
	group.Go(func() { out.Ready, out.ReadyDetail, out.Err = readiness(orSilence(ctx, client.ReadyZ(ctx))) })
	group.Go(func() { out.Version = gitVersion(ctx, client.Typed().Discovery()) })
	group.Go(func() { out.ServiceAccountKeys = keyIDs(ctx, client.Typed().Discovery().RESTClient()) })
	group.Wait()
}

// readiness tells an API server that is not ready from one that does not say.
func readiness(err error) (ready *bool, detail, failed string) {
	var status apierrors.APIStatus
	var notReady *kubeapi.NotReadyError
	switch {
	case err == nil:
		return new(true), "", ""
	case errors.As(err, &notReady):
		return new(false), strings.Join(notReady.Failed, ", "), ""
	case errors.As(err, &status):
		return nil, plain(err), ""
	}
	return nil, "", plain(err)
}

// gitVersion is "" where the server does not say.
func gitVersion(ctx context.Context, d discovery.DiscoveryInterface) string {
	info, err := discovery.ToServerVersionInterfaceWithContext(d).ServerVersionWithContext(ctx)
	if err != nil {
		return ""
	}
	return info.GitVersion
}

// keyIDs are those of the keys whose service account tokens a server accepts; none
// where it does not say.
func keyIDs(ctx context.Context, c rest.Interface) []string {
	data, err := c.Get().AbsPath("/openid/v1/jwks").MaxRetries(0).DoRaw(ctx)
	var set struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	if err != nil || json.Unmarshal(data, &set) != nil {
		return nil
	}
	var out []string
	for _, k := range set.Keys {
		out = append(out, k.ID)
	}
	return out
}
