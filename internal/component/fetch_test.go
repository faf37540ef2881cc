package component

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestServerThatFallsSilent(t *testing.T) {
	gone := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("begin"))
		w.(http.Flusher).Flush()
		<-gone
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(gone) })
	from, err := url.Parse(server.URL + "/p")
	if err != nil {
		t.Fatal(err)
	}
	c := choice{program: program{name: "p"}, url: from}
	for name, test := range map[string]struct {
		p    patience
		want string
	}{
		"silent": {patience{time.Minute, 30 * time.Millisecond}, "GET " + server.URL + "/p: nothing came for 30ms"},
		"slow":   {patience{30 * time.Millisecond, time.Minute}, "GET " + server.URL + "/p: it takes longer than 30ms"},
	} {
		err := c.fetchWithin(t.Context(), filepath.Join(t.TempDir(), "p"), test.p)
		if err == nil || err.Error() != test.want {
			t.Errorf("%s: got %v, want %s", name, err, test.want)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := c.fetch(ctx, filepath.Join(t.TempDir(), "p")); err == nil || !strings.Contains(err.Error(), context.DeadlineExceeded.Error()) {
		t.Errorf("the caller gave up: %v", err)
	}
}
