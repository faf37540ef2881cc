package main

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestServerAndClient(t *testing.T) {
	t.Setenv("POD_IP", "10.244.1.5")
	server := httptest.NewServer(handler())
	defer server.Close()
	tests := []struct {
		name, path, want, err string
	}{
		{"identity", "/", "200\nhostname: ", ""},
		{"address", "/", "address: 10.244.1.5\n", ""},
		{"health", "/healthz", "200\nok\n", ""},
		{"outside a pod", "/kube", "502\n", "status 502"},
		{"unknown", "/x", "404\n", "status 404"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			err := run(t.Context(), []string{"get", server.URL + test.path}, &out)
			if !strings.Contains(out.String(), test.want) {
				t.Errorf("printed %q, want %q in it", out.String(), test.want)
			}
			if (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
				t.Errorf("error %v, want %q", err, test.err)
			}
		})
	}
}

func TestCommands(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
		err  string
	}{
		{"version", []string{"--version"}, "web dev\n", ""},
		{"resolve", []string{"resolve", "127.0.0.1"}, "127.0.0.1\n", ""},
		{"resolve nothing", []string{"resolve"}, "", "NAME is missing"},
		{"get nothing", []string{"get"}, "", "URL is missing"},
		{"unknown", []string{"put"}, "", `unknown command "put"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			err := run(t.Context(), test.args, &out)
			if out.String() != test.want || (err == nil) != (test.err == "") {
				t.Fatalf("printed %q, error %v; want %q, %q", out.String(), err, test.want, test.err)
			}
			if err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("error %v, want %q", err, test.err)
			}
		})
	}
}
