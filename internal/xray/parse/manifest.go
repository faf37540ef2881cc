package parse

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// Manifest reads the manifest of a static pod.
func Manifest(text string) (*corev1.Pod, error) {
	var pod corev1.Pod
	if err := readYAML(text, &pod); err != nil {
		return nil, fmt.Errorf("not a manifest: %w", err)
	}
	if pod.Kind == "" && pod.APIVersion == "" {
		return nil, errors.New("not a manifest: neither kind nor apiVersion")
	}
	if pod.Kind != "Pod" {
		return nil, fmt.Errorf("a manifest of kind %q, which is not a Pod", pod.Kind)
	}
	if pod.APIVersion != "v1" {
		return nil, fmt.Errorf("a manifest of apiVersion %q, and Pods are of v1", pod.APIVersion)
	}
	return &pod, nil
}

var documentEnd = regexp.MustCompile(`(?m)^---([ \t].*)?$`)

// MoreDocuments tells a manifest with something behind its first document: the kubelet reads that
// one alone (tryDecodeSinglePod of pkg/kubelet/config makes JSON of it).
func MoreDocuments(text string) bool {
	n := 0
	for _, document := range documentEnd.Split(strings.ReplaceAll(text, "\r\n", "\n"), -1) {
		lines := slices.DeleteFunc(strings.Split(document, "\n"), func(line string) bool {
			line = strings.TrimSpace(line)
			return line == "" || line[0] == '#' || line == "..."
		})
		if len(lines) > 0 {
			n++
		}
	}
	return n > 1
}

// podGrace is how long a pod may take to end that does not say.
const podGrace = 30 * time.Second

// Pod returns the programs that the containers of a pod run, where the flags are
// from and where they were seen. Running is left to the caller.
func Pod(pod *corev1.Pod, from, where string) []evidence.Program {
	grace := podGrace
	if s := pod.Spec.TerminationGracePeriodSeconds; s != nil {
		grace = time.Duration(min(max(*s, 0), int64(Forever/time.Second))) * time.Second
	}
	var out []evidence.Program
	for _, c := range pod.Spec.Containers {
		name, argv := container(c)
		if name == "" {
			continue
		}
		p := evidence.Program{Name: name, From: from, Where: where, Argv: argv, Version: imageTag(c.Image), StopTimeout: grace}
		if name == evidence.EtcdServer {
			p.Variables = etcdVariables(literals(c.Env))
		}
		if name == evidence.KubeVIP {
			p.Variables = kubeVIPVariables(literals(c.Env))
		}
		out = append(out, p)
	}
	return out
}

// literals are the variables whose values the manifest has.
func literals(env []corev1.EnvVar) map[string]string {
	out := map[string]string{}
	for _, e := range env {
		if e.ValueFrom == nil {
			out[e.Name] = e.Value
		}
	}
	return out
}

// container recognises the program of a container by its command, else by its
// image: images of HAProxy, nginx and kube-vip have the command in themselves.
func container(c corev1.Container) (string, []string) {
	argv := append(append([]string{}, c.Command...), c.Args...)
	for i := range argv {
		argv[i] = references(argv[i], c.Env)
		if slices.Contains(shells, path.Base(argv[0])) {
			argv[i] = shellVariables(argv[i], c.Env)
		}
	}
	if len(c.Command) > 0 {
		return Process(argv)
	}
	if name, own := Process(argv); name != "" {
		return name, own
	}
	repository, _, _ := strings.Cut(path.Base(c.Image), ":")
	repository, _, _ = strings.Cut(repository, "@")
	return Process(append([]string{repository}, argv...))
}

var reference = regexp.MustCompile(`\$\$|\$\([-._a-zA-Z][-._a-zA-Z0-9]*\)`)

// references replaces $(NAME) by what the manifest says, as the kubelet does. Values
// that only the kubelet knows stay as they are written.
func references(text string, env []corev1.EnvVar) string {
	return reference.ReplaceAllStringFunc(text, func(m string) string {
		if m == "$$" {
			return "$"
		}
		for _, e := range slices.Backward(env) {
			if e.Name == m[2:len(m)-1] && e.ValueFrom == nil {
				return e.Value
			}
		}
		return m
	})
}

var shellVariable = regexp.MustCompile(`\$\{[a-zA-Z_][a-zA-Z0-9_]*\}`)

// shellVariables replaces ${NAME} in a script by what the manifest says. What the script
// sets itself, and what only the kubelet knows, stays as it is written.
func shellVariables(text string, env []corev1.EnvVar) string {
	return shellVariable.ReplaceAllStringFunc(text, func(m string) string {
		name := m[2 : len(m)-1]
		for _, e := range slices.Backward(env) {
			if e.Name == name && e.ValueFrom == nil && !strings.Contains(text, name+"=") {
				return e.Value
			}
		}
		return m
	})
}

var version = regexp.MustCompile(`^v?\d+\.\d+`)

// imageTag is the tag of an image where it looks like a version.
func imageTag(image string) string {
	image, _, _ = strings.Cut(image, "@")
	_, tag, ok := strings.Cut(path.Base(image), ":")
	if !ok || !version.MatchString(tag) {
		return ""
	}
	return tag
}

// HostPaths returns where the files of a pod's containers are on the machine: the
// longest mount of a host path that has the path, or the path itself.
func HostPaths(pod *corev1.Pod) func(string) string {
	host := map[string]string{} // volume to path on the machine
	for _, v := range pod.Spec.Volumes {
		if v.HostPath != nil {
			host[v.Name] = v.HostPath.Path
		}
	}
	return func(file string) string {
		best, out := "", file
		for _, c := range pod.Spec.Containers {
			for _, m := range c.VolumeMounts {
				rest, ok := strings.CutPrefix(file, strings.TrimSuffix(m.MountPath, "/"))
				inside := ok && (rest == "" || strings.HasPrefix(rest, "/"))
				if at := host[m.Name]; at != "" && inside && m.SubPathExpr == "" && len(m.MountPath) > len(best) {
					if m.SubPath != "" {
						at = path.Join(at, m.SubPath)
					}
					best, out = m.MountPath, strings.TrimSuffix(at, "/")+rest
				}
			}
		}
		return out
	}
}
