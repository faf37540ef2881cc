package parse

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// An etcdID is a number that the JSON of etcd's gateway has as decimal text.
type etcdID uint64

func (id *etcdID) UnmarshalJSON(data []byte) error {
	n, err := strconv.ParseUint(strings.Trim(string(data), `"`), 10, 64)
	*id = etcdID(n)
	return err
}

// An etcdSize is a number of bytes, written the same way. One that is not known is 0.
type etcdSize int64

func (n *etcdSize) UnmarshalJSON(data []byte) error {
	i, err := strconv.ParseInt(strings.Trim(string(data), `"`), 10, 64)
	*n = etcdSize(max(i, 0))
	return err
}

func (id etcdID) String() string { return strconv.FormatUint(uint64(id), 16) }

// refusal is an answer of the gateway that is an error.
type refusal struct {
	Error   string
	Message string
}

func (r refusal) err() error {
	if r.Error != "" || r.Message != "" {
		return errors.New(first(r.Error, r.Message))
	}
	return nil
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// answer reads JSON of the gateway into out, or the error that it is.
func answer(text string, out any) error {
	var r refusal
	if err := json.Unmarshal([]byte(text), &r); err == nil && r.err() != nil {
		return r.err()
	}
	if err := json.Unmarshal([]byte(text), out); err != nil {
		return fmt.Errorf("not an answer of etcd: %w", err)
	}
	return nil
}
