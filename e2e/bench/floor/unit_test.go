package floor

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseUnit(t *testing.T) {
	for name, c := range map[string]struct {
		unit  string
		want  unit
		wrong string
	}{
		"of several lines": {unit: "[Unit]\nAfter=x\n\n[Service]\nExecStart=/usr/local/bin/etcd \\\n  --name=cp-1 \\\n  --quota=100%%\nRestart=always\nNice=-5\n",
			want: unit{argv: []string{"/usr/local/bin/etcd", "--name=cp-1", "--quota=100%"}, nice: -5}},
		"of one line": {unit: "[Service]\nExecStart=/usr/sbin/haproxy -Ws -f /etc/x.cfg\nExecReload=/bin/kill -USR2 $MAINPID\n",
			want: unit{argv: []string{"/usr/sbin/haproxy", "-Ws", "-f", "/etc/x.cfg"}}},
		"quoted": {unit: "[Service]\nExecStart=/bin/x \"a b\"\n", wrong: `a word with quotes in "/bin/x \"a b\""`},
		"none":   {unit: "[Service]\nExecStartPre=/bin/x\n", wrong: "no ExecStart"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseUnit(c.unit)
			wrong := ""
			if err != nil {
				wrong = err.Error()
			}
			if d := cmp.Diff(c.want, got, cmp.AllowUnexported(unit{})); d != "" || wrong != c.wrong {
				t.Errorf("error %q, want %q; -want +got\n%s", wrong, c.wrong, d)
			}
		})
	}
}
