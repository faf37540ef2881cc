package collect

import (
	"errors"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/parse"
)

// Where keepalived has its configuration if it is not told; the second is that of an image that
// kubeadm's guide takes.
var keepalivedConfigs = []string{"/etc/keepalived/keepalived.conf", "/usr/local/etc/keepalived/keepalived.conf"}

// keepalived reads what it is to move. In a folder the file itself says that it is meant to run,
// unless nothing starts it there.
func (h *host) keepalived() {
	p := named(h.programs, evidence.KeepalivedProgram)
	if p == nil {
		if _, err := h.stat(keepalivedConfigs[0], asBalancer); err != nil || h.machine.Way != evidence.Folder || h.unstarted(evidence.KeepalivedProgram) != "" {
			return
		}
		p = &located{place: onHost}
	}
	if p.inside {
		return
	}
	file, text, err := h.keepalivedFile(p)
	switch {
	case errors.Is(err, errPending):
	case errors.Is(err, errNotCopied):
		h.machine.Keepalived = &evidence.Keepalived{Path: file, Err: "not copied"}
	case errors.Is(err, fs.ErrNotExist):
		h.machine.Keepalived = &evidence.Keepalived{Path: file, Err: evidence.NoSuchFile}
	case err != nil:
		h.miss(file, err, readAsRoot)
		h.machine.Keepalived = &evidence.Keepalived{Path: file, Err: err.Error()}
	default:
		h.file(p.place, file, asBalancer)
		h.machine.Keepalived = parse.Keepalived(file, h.keepalivedIncluded(p, text, file), configID(p, h.ownName()))
	}
}

// ownName is what the machine calls itself.
func (h *host) ownName() string {
	if h.machine.Hostname != "" || h.machine.Way != evidence.Folder {
		return h.machine.Hostname
	}
	return h.hostname()
}

// keepalivedFile is the file that its command names, or the usual one.
func (h *host) keepalivedFile(p *located) (file, text string, err error) {
	candidates := keepalivedConfigs[:1]
	if p.process == nil && p.Unit == nil && p.Name != "" {
		candidates = keepalivedConfigs
	}
	for _, flag := range []string{"f", "use-file"} {
		if name, ok := p.Flag(flag); ok && path.IsAbs(name) {
			candidates = []string{name}
		}
	}
	for _, file := range candidates {
		if text, err = h.read(p.on(file), asBalancer); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return file, text, err
		}
	}
	return candidates[0], "", err
}

func configID(p *located, hostname string) string {
	if id, ok := p.Flag("i"); ok {
		return id
	}
	return p.FlagOr("config-id", hostname)
}

var keepalivedInclude = regexp.MustCompile(`(?m)^[ \t]*include[rmwba]*[ \t]+"?([^"\s]+)"?[ \t]*$`)

// keepalivedIncluded puts files in the place of the lines that include them, but for those that
// are being included. Names are relative to the file that has the line.
func (h *host) keepalivedIncluded(p *located, text string, chain ...string) string {
	return keepalivedInclude.ReplaceAllStringFunc(text, func(line string) string {
		pattern := keepalivedInclude.FindStringSubmatch(line)[1]
		if !path.IsAbs(pattern) {
			pattern = path.Join(path.Dir(chain[len(chain)-1]), pattern)
		}
		var b strings.Builder
		for _, file := range h.glob(p.on(pattern), asBalancer) {
			if slices.Contains(chain, file) || len(chain) >= includesNested {
				continue
			}
			if one, err := h.read(file, asBalancer); err == nil && b.Len()+len(one) < includedBytes {
				b.WriteString(h.keepalivedIncluded(p, one, append(slices.Clone(chain), file)...) + "\n")
			}
		}
		return b.String()
	})
}
