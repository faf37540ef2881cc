package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

const (
	accountDir = "/var/run/secrets/kubernetes.io/serviceaccount"
	kubeURL    = "https://kubernetes.default.svc"
	bodyLimit  = 1 << 20
)

// get prints the answer to a GET request; a status of 400 or more is an error.
func get(ctx context.Context, out io.Writer, url string) error {
	if url == "" {
		return errors.New("get: URL is missing")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	status, body, err := do(http.DefaultClient, request)
	if err != nil {
		return err
	}
	return show(out, status, body)
}

// kube prints the API server's answer, /version's if no path is given.
func kube(ctx context.Context, out io.Writer, path string) error {
	status, body, err := fetchKube(ctx, path)
	if err != nil {
		return err
	}
	return show(out, status, body)
}

// resolve prints a name's addresses, one a line.
func resolve(ctx context.Context, out io.Writer, name string) error {
	if name == "" {
		return errors.New("resolve: NAME is missing")
	}
	addrs, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, strings.Join(addrs, "\n"))
	return err
}

// fetchKube asks the API server through its Service, as the pod's service account.
func fetchKube(ctx context.Context, path string) (int, []byte, error) {
	ca, err := os.ReadFile(filepath.Join(accountDir, "ca.crt"))
	if err != nil {
		return 0, nil, err
	}
	token, err := os.ReadFile(filepath.Join(accountDir, "token"))
	if err != nil {
		return 0, nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return 0, nil, errors.New("ca.crt has no certificate")
	}
	if path = strings.TrimPrefix(path, "/"); path == "" {
		path = "version"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, kubeURL+"/"+path, nil)
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	// A new connection each time: a test asks whether the Service answers now.
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	return do(&http.Client{Transport: transport}, request)
}

func do(client *http.Client, request *http.Request) (int, []byte, error) {
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(io.LimitReader(response.Body, bodyLimit))
	return response.StatusCode, body, err
}

func show(out io.Writer, status int, body []byte) error {
	if _, err := fmt.Fprintf(out, "%d\n%s\n", status, strings.TrimRight(string(body), "\n")); err != nil {
		return err
	}
	if status >= http.StatusBadRequest {
		return fmt.Errorf("status %d", status)
	}
	return nil
}
