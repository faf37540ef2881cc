package spec

import _ "embed"

// DefaultFile is a cluster file with comments that says what Default returns.
//
//go:embed default.yaml
var DefaultFile string

// Schema is the JSON Schema of the cluster file. UPDATE_GOLDEN=1 go test ./spec
// writes it from the types and their comments.
//
//go:embed schema.json
var Schema string
