package kubeconfig

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/haplane/haplane/internal/pki"
)

// Files are the kubeconfig files of a user, in kubectl's order: for every entry
// the first file that has it counts.
type Files []string

// UserFiles are the files of $KUBECONFIG, or else ~/.kube/config.
func UserFiles() Files {
	return clientcmd.NewDefaultClientConfigLoadingRules().Precedence
}

// Merge puts c into the file that has the cluster already, else into the first
// file that exists, else into the first, and makes it the current context. It
// returns the path of the file that has the entries. Others' entries stay, comments do not.
// A file that cannot be read leaves all files as they are.
func (f Files) Merge(ctx context.Context, c Config) (string, error) {
	open, err := f.open(ctx)
	if err != nil {
		return "", err
	}
	defer open.unlock()

	name := Entry(c.Cluster)
	target := open.first(func(f *file) bool { return has(f.config, name) })
	if target == nil {
		target = open.first(func(f *file) bool { return f.exists })
	}
	if target == nil {
		target = open[0]
	}
	put(target.config, c)
	target.changed = true

	// kubectl takes the current context from the first file that names one.
	current := open.first(func(f *file) bool { return f.config.CurrentContext != "" })
	if current == nil {
		current = target
	}
	current.changed = current.changed || current.config.CurrentContext != name
	current.config.CurrentContext = name
	return target.path, open.write()
}

// Refresh renews the certificate of c's user, and the CA, in the file that has the cluster, and returns its path; empty
// where none has it, or nothing is new. All else stays what it is, and so does an entry of that name for
// another cluster, which has none of c's authorities, or one that the user has made his own.
func (f Files) Refresh(ctx context.Context, c Config) (string, error) {
	return f.change(ctx, c, func(cluster *api.Cluster, user *api.AuthInfo) bool {
		ours := user != nil && len(user.ClientCertificateData) > 0 && cluster != nil && sharesAuthority(cluster.CertificateAuthorityData, c.CA)
		if !ours || bytes.Equal(user.ClientCertificateData, c.Cert) && bytes.Equal(cluster.CertificateAuthorityData, c.CA) {
			return false
		}
		cluster.CertificateAuthorityData = c.CA
		user.ClientCertificateData, user.ClientKeyData = c.Cert, c.Key
		return true
	})
}

// change has edit change the entries of c's cluster in the file that has them, either of which may be nil, and returns
// its path; empty where none has them, or edit changed nothing.
func (f Files) change(ctx context.Context, c Config, edit func(*api.Cluster, *api.AuthInfo) bool) (string, error) {
	open, err := f.open(ctx)
	if err != nil {
		return "", err
	}
	defer open.unlock()
	name := Entry(c.Cluster)
	target := open.first(func(f *file) bool { return has(f.config, name) })
	if target == nil || !edit(target.config.Clusters[name], target.config.AuthInfos[name]) {
		return "", nil
	}
	target.changed = true
	return target.path, open.write()
}

// sharesAuthority reports whether two bundles have a certificate in common: while an authority is rotated
// they have the old and the next one.
func sharesAuthority(a, b []byte) bool {
	return bytes.Equal(a, b) || slices.ContainsFunc(pki.Blocks(a), func(one []byte) bool { return pki.Contains(b, one) })
}

// Remove takes the cluster's entries out of every file, and unsets the current
// context where it is the cluster's. It returns the paths of the files that changed.
func (f Files) Remove(ctx context.Context, cluster string) ([]string, error) {
	open, err := f.open(ctx)
	if err != nil {
		return nil, err
	}
	defer open.unlock()
	var changed []string
	for _, file := range open {
		if file.changed = drop(file.config, Entry(cluster)); file.changed {
			changed = append(changed, file.path)
		}
	}
	return changed, open.write()
}

// A file is one locked kubeconfig file.
type file struct {
	path            string
	config          *api.Config
	exists, changed bool
	unlock          func()
}

type openFiles []*file

// open locks and reads all files; after an error none is locked.
func (f Files) open(ctx context.Context) (open openFiles, err error) {
	defer func() {
		if err != nil {
			open.unlock()
		}
	}()
	var seen []string
	for _, path := range f {
		if path == "" || slices.Contains(seen, path) {
			continue
		}
		seen = append(seen, path)
		file, err := openFile(ctx, path)
		if err != nil {
			return open, fmt.Errorf("kubeconfig %s: %w", path, err)
		}
		open = append(open, file)
	}
	if len(open) == 0 {
		return nil, fmt.Errorf("no kubeconfig file: neither $KUBECONFIG nor a home directory is set")
	}
	return open, nil
}

func (o openFiles) first(match func(*file) bool) *file {
	if i := slices.IndexFunc(o, match); i >= 0 {
		return o[i]
	}
	return nil
}

func (o openFiles) write() error {
	for _, file := range o {
		if !file.changed {
			continue
		}
		if err := file.write(); err != nil {
			return fmt.Errorf("kubeconfig %s: %w", file.path, err)
		}
	}
	return nil
}

func (o openFiles) unlock() {
	for _, file := range o {
		file.unlock()
	}
}
