package parse

import (
	"errors"
	"regexp"
)

// secretKey is a key of a configuration whose value is not kept: headers with which
// manifests are fetched, passwords.
var secretKey = regexp.MustCompile(`(?i)^(` + secretName + `|staticPodURLHeader)$`)

// Config reads the configuration file of a component as generic YAML, without secrets.
func Config(text string) (map[string]any, error) {
	var out map[string]any
	if err := readYAML(text, &out); err != nil {
		return nil, err
	}
	if out == nil {
		return nil, errors.New("an empty configuration")
	}
	for key, value := range out {
		out[key] = redactValue(key, value)
	}
	return out, nil
}

// redactValue is the value of a key without secrets. Numbers and booleans are none:
// settings are.
func redactValue(key string, value any) any {
	secret := secretKey.MatchString(key)
	switch v := value.(type) {
	case string:
		if secret && !isHarmless(key, v) {
			return Redacted
		}
		return Redact(v)
	case map[string]any:
		if secret {
			return Redacted
		}
		for key, inner := range v {
			v[key] = redactValue(key, inner)
		}
	case []any:
		if secret {
			return Redacted
		}
		for i, inner := range v {
			v[i] = redactValue("", inner)
		}
	}
	return value
}

// Text returns the text at a path of keys in a configuration, "" where there is none.
func Text(config map[string]any, keys ...string) string {
	for i, key := range keys {
		if i == len(keys)-1 {
			text, _ := config[key].(string)
			return text
		}
		config, _ = config[key].(map[string]any)
	}
	return ""
}

// IsEtcdConfig tells etcd's configuration file from other YAML.
func IsEtcdConfig(text string) bool {
	config, err := Config(text)
	if err != nil {
		return false
	}
	for _, key := range []string{"data-dir", "listen-client-urls", "listen-peer-urls", "advertise-client-urls", "initial-cluster"} {
		if config[key] != nil {
			return true
		}
	}
	return false
}
