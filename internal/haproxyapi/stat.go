package haproxyapi

import (
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Backend is one backend of HAProxy with its servers, in the order of the configuration.
type Backend struct {
	Name     string   `json:"name"`
	Status   string   `json:"status"` // UP or DOWN
	Sessions Sessions `json:"sessions"`
	Servers  []Server `json:"servers"`
}

// A Server is one server of a backend, as `show stat` has it.
type Server struct {
	Backend string `json:"backend"`
	Name    string `json:"name"`
	Address string `json:"address"` // host:port
	// Status is HAProxy's word: UP, DOWN, MAINT, DRAIN, NOLB, "no check", or one
	// on its way to another, such as "UP 1/2" and "DOWN 1/2".
	Status     string        `json:"status"`
	LastCheck  Check         `json:"lastCheck"`
	Sessions   Sessions      `json:"sessions"`
	LastChange time.Duration `json:"lastChange"` // since the status changed; whole seconds, negative where it is not told
	Downtime   time.Duration `json:"downtime"`   // since HAProxy started; whole seconds
}

// Up reports whether the server takes new connections, one that is about to go down included.
func (s Server) Up() bool {
	return s.Status == "no check" || strings.HasPrefix(s.Status, "UP")
}

// A Check is the result of a health check.
type Check struct {
	Status      string        `json:"status"` // such as L7OK, L4CON, L7STS, L6TOUT; empty without a check, "* " before it while one runs
	Code        int           `json:"code"`   // the HTTP status, 0 when there was none
	Description string        `json:"description,omitempty"`
	Took        time.Duration `json:"took"` // whole milliseconds
}

// Sessions are the connections of a backend or server.
type Sessions struct {
	Current int64 `json:"current"`
	Total   int64 `json:"total"` // since HAProxy started
}

// ParseStat reads the answer to `show stat`. Frontends are left out.
// The columns are those of section 9.1 of HAProxy's management guide.
func ParseStat(text string) ([]Backend, error) {
	header, rows, err := readTable(text)
	if err != nil {
		return nil, fmt.Errorf("read show stat: %w", err)
	}
	for _, name := range []string{"pxname", "svname", "status"} {
		if _, ok := header[name]; !ok {
			return nil, fmt.Errorf("read show stat: no column %q", name)
		}
	}
	var order []string
	byName := map[string]*Backend{}
	for _, fields := range rows {
		row := statRow{header: header, fields: fields}
		name := row.text("pxname")
		if row.text("svname") == "FRONTEND" {
			continue
		}
		if byName[name] == nil {
			byName[name] = &Backend{Name: name}
			order = append(order, name)
		}
		row.addTo(byName[name])
		if row.err != nil {
			return nil, fmt.Errorf("read show stat: %s/%s: %w", name, row.text("svname"), row.err)
		}
	}
	backends := make([]Backend, 0, len(order))
	for _, name := range order {
		backends = append(backends, *byName[name])
	}
	return backends, nil
}

// readTable returns the place of every column, and the rows.
func readTable(text string) (map[string]int, [][]string, error) {
	reader := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "# ")))
	reader.FieldsPerRecord = -1
	records, err := reader.ReadAll()
	if err != nil {
		return nil, nil, err
	}
	if len(records) == 0 {
		return nil, nil, fmt.Errorf("empty answer")
	}
	header := make(map[string]int, len(records[0]))
	for i, name := range records[0] {
		header[name] = i
	}
	return header, records[1:], nil
}

// A statRow reads fields by their column; err is the first that was not a number.
type statRow struct {
	header map[string]int
	fields []string
	err    error
}

func (r *statRow) addTo(b *Backend) {
	sessions := Sessions{Current: r.number("scur"), Total: r.number("stot")}
	if r.text("svname") == "BACKEND" {
		b.Status, b.Sessions = r.text("status"), sessions
		return
	}
	b.Servers = append(b.Servers, Server{
		Backend: b.Name, Name: r.text("svname"), Address: r.text("addr"), Status: r.text("status"),
		LastCheck: Check{
			Status: r.text("check_status"), Code: int(r.number("check_code")), Description: r.text("last_chk"),
			Took: time.Duration(r.number("check_duration")) * time.Millisecond,
		},
		Sessions:   sessions,
		LastChange: r.since("lastchg"),
		Downtime:   time.Duration(r.number("downtime")) * time.Second,
	})
}

func (r *statRow) text(column string) string {
	i, ok := r.header[column]
	if !ok || i >= len(r.fields) {
		return ""
	}
	return r.fields[i]
}

// since is negative for an empty field.
func (r *statRow) since(column string) time.Duration {
	if r.text(column) == "" {
		return -time.Second
	}
	return time.Duration(r.number(column)) * time.Second
}

// number is 0 for an empty field: HAProxy leaves out what does not apply.
func (r *statRow) number(column string) int64 {
	text := r.text(column)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("column %s: %w", column, err)
	}
	return n
}
