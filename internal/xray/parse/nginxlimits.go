package parse

import "github.com/haplane/haplane/internal/xray/evidence"

// nginx's defaults.
const (
	nginxWorkers           = 1
	nginxWorkerConnections = 512
)

// limits are those of the file, and of the server that balances.
func (b block) limits(p *nginxProxy) evidence.Limits {
	out := evidence.Limits{Workers: nginxWorkers, WorkerConnections: nginxWorkerConnections}
	if text, ok := b.setting("worker_processes"); ok {
		out.Workers, out.WorkersByCPU = max(positive(text), 1), text == "auto"
	}
	if text, ok := b.setting("worker_rlimit_nofile"); ok {
		out.WorkerFiles = positive(text)
	}
	for _, events := range b["events"] {
		if text, ok := index(events.block).setting("worker_connections"); ok {
			out.WorkerConnections = positive(text)
		}
	}
	all := p.server["limit_conn"]
	if len(all) == 0 {
		all = p.around["limit_conn"]
	}
	for _, d := range all {
		if len(d.words) > 2 {
			out.PerClient = fewer(out.PerClient, positive(d.words[2]))
		}
	}
	return out
}
