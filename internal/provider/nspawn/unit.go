package nspawn

import (
	"fmt"
	"strings"
)

// serviceText is the unit, as of systemd.unit(5) and systemd.service(5). The
// machines outlive it: each is in a scope of its own.
func (p *Provider) serviceText() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("[Unit]")
	line("Description=Machines of the %s cluster %s", mark, p.Cluster)
	line("After=network.target")
	line("RequiresMountsFor=%s", unitWord(p.StateDir))
	line(folderLine+"%s", strings.ReplaceAll(p.StateDir, "%", "%%"))
	line("StartLimitIntervalSec=1h")
	line("StartLimitBurst=5")
	line("")
	line("[Service]")
	line("Type=oneshot")
	line("RemainAfterExit=yes")
	line("TimeoutStartSec=20min")
	line("Restart=on-failure") // a host that has just booted can be too busy for what is waited for
	line("RestartSec=5s")
	for _, e := range p.StartEnvironment {
		line("Environment=%s", unitWord(e))
	}
	words := make([]string, len(p.StartCommand))
	for i, w := range p.StartCommand {
		if words[i] = unitWord(w); i > 0 { // the program's own name is taken as it is
			words[i] = strings.ReplaceAll(words[i], "$", "$$")
		}
	}
	line("ExecStart=%s", strings.Join(words, " "))
	line("")
	line("[Install]")
	line("WantedBy=multi-user.target")
	return b.String()
}

// unitWord is one word for systemd, whatever is in it.
func unitWord(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "\n", `\n`).Replace(s) + `"`
}
