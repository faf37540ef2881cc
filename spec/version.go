package spec

import "strconv"

// SetKubernetesVersion writes another version into the text of a cluster file, where that names one.
func SetKubernetesVersion(data []byte, version string) ([]byte, error) {
	l, err := readLayout(data)
	if err != nil {
		return nil, err
	}
	_, spec := l.spec()
	_, value := find(spec, "kubernetesVersion")
	if value == nil || value.Value == "" {
		return data, nil
	}
	start, end, err := l.span(value)
	if err != nil {
		return nil, err
	}
	if first := data[start]; first == '"' || first == '\'' {
		version = strconv.Quote(version)
	}
	return l.with(start, end, version), nil
}
