package kubeapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TokenKey asks for a token of kube-system/default that ends as soon as one may, and returns the ID of the key
// that signed it. The token itself is forgotten.
func (c *Client) TokenKey(ctx context.Context) (string, error) {
	seconds := int64(10 * time.Minute / time.Second) // the least that there is
	request := &authv1.TokenRequest{Spec: authv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	made, err := c.typed.CoreV1().ServiceAccounts("kube-system").CreateToken(ctx, "default", request, metav1.CreateOptions{})
	if err != nil {
		return "", c.errorf("ask for a token", err)
	}
	return tokenKey(made.Status.Token)
}

// tokenKey is the ID of the key that a token says it was signed with.
func tokenKey(token string) (string, error) {
	header, _, _ := strings.Cut(token, ".")
	var said struct {
		KeyID string `json:"kid"`
	}
	data, err := base64.RawURLEncoding.DecodeString(header)
	if err == nil {
		err = json.Unmarshal(data, &said)
	}
	if err != nil {
		return "", errors.New("a token that is none") // and is not quoted
	}
	return said.KeyID, nil
}

// VerifyingKeys are the IDs of the keys by which an API server verifies tokens of service accounts.
func (c *Client) VerifyingKeys(ctx context.Context) ([]string, error) {
	data, err := c.typed.Discovery().RESTClient().Get().AbsPath("/openid/v1/jwks").DoRaw(ctx)
	var set struct {
		Keys []struct {
			KeyID string `json:"kid"`
		}
	}
	if err == nil {
		err = json.Unmarshal(data, &set)
	}
	if err != nil {
		return nil, c.errorf("ask for the keys of service accounts", err)
	}
	var out []string
	for _, k := range set.Keys {
		out = append(out, k.KeyID)
	}
	return out, nil
}

// A TokenSecret is a Secret with a token of a service account that does not end, and the pods that have it: as files, or in the
// environment of their programs. It can be removed from the Secret; Kubernetes makes another one in its place, and the one before
// is valid no more.
type TokenSecret struct {
	Name string   // NAMESPACE/NAME
	Pods []string // so too
}

func (s TokenSecret) String() string {
	if len(s.Pods) == 0 {
		return s.Name
	}
	return fmt.Sprintf("%s (of pods %s)", s.Name, strings.Join(s.Pods, ", "))
}

// TokenSecrets are the Secrets with a token that a key has signed.
func (c *Client) TokenSecrets(ctx context.Context, keyID string) ([]TokenSecret, error) {
	secrets, err := c.tokenSecrets(ctx)
	if err != nil {
		return nil, err
	}
	var out []TokenSecret
	for _, s := range secrets {
		if key, err := tokenKey(string(s.Data[corev1.ServiceAccountTokenKey])); err == nil && key == keyID {
			out = append(out, TokenSecret{Name: s.Namespace + "/" + s.Name})
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	pods, err := c.typed.CoreV1().Pods("").List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return nil, c.errorf("list pods", err)
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		for _, name := range secretsOf(p) {
			if j := slices.IndexFunc(out, func(s TokenSecret) bool { return s.Name == p.Namespace+"/"+name }); j >= 0 && !finished(*p) {
				out[j].Pods = append(out[j].Pods, p.Namespace+"/"+p.Name)
			}
		}
	}
	return out, nil
}
