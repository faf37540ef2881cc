package haproxyapi

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// A ServerState is one server as `show servers state` has it: what HAProxy
// would carry over a reload.
type ServerState struct {
	Backend   string         `json:"backend"`
	Name      string         `json:"name"`
	Address   netip.AddrPort `json:"address"`
	Operation Operation      `json:"operation"`
	Admin     Admin          `json:"admin"`
}

// Operation is srv_op_state: what the health checks make of the server.
type Operation int

// The values of srv_op_state.
const (
	Stopped  Operation = iota // down
	Starting                  // up, in slow start
	Running                   // up
	Stopping                  // up, takes no new sessions
)

// Admin is srv_admin_state: what operators and the configuration make of the server.
type Admin int

// The bits of srv_admin_state that haplane meets.
const (
	AdminMaint     Admin = 0x01 // put in maintenance by a command
	AdminMaintConf Admin = 0x04 // "disabled" in the configuration
	AdminDrain     Admin = 0x08 // put in drain by a command
)

// Ready reports that no operator keeps traffic away from the server. "disabled" in
// the configuration begins as both bits of maintenance, and leaves its own behind when a command ends it.
func (a Admin) Ready() bool { return a&^AdminMaintConf == 0 }

var stateColumns = []string{"be_name", "srv_name", "srv_addr", "srv_port", "srv_op_state", "srv_admin_state"}

// ParseServersState reads the answer to `show servers state` of format version 1.
func ParseServersState(text string) ([]ServerState, error) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if strings.TrimSpace(lines[0]) != "1" {
		return nil, fmt.Errorf("read show servers state: version 1 expected, got %q", lines[0])
	}
	if len(lines) < 2 {
		return nil, fmt.Errorf("read show servers state: no header")
	}
	header := map[string]int{}
	for i, name := range strings.Fields(strings.TrimPrefix(lines[1], "#")) {
		header[name] = i
	}
	var states []ServerState
	for _, line := range lines[2:] {
		state, err := parseState(header, strings.Fields(line))
		if err != nil {
			return nil, fmt.Errorf("read show servers state: %q: %w", line, err)
		}
		states = append(states, state)
	}
	return states, nil
}

func parseState(header map[string]int, fields []string) (ServerState, error) {
	value := map[string]string{}
	for _, column := range stateColumns {
		i, ok := header[column]
		if !ok || i >= len(fields) {
			return ServerState{}, fmt.Errorf("no column %s", column)
		}
		value[column] = fields[i]
	}
	addr, err := netip.ParseAddr(value["srv_addr"])
	if err != nil {
		return ServerState{}, err
	}
	port, err := strconv.ParseUint(value["srv_port"], 10, 16)
	if err != nil {
		return ServerState{}, err
	}
	operation, err := strconv.Atoi(value["srv_op_state"])
	if err != nil {
		return ServerState{}, err
	}
	admin, err := strconv.Atoi(value["srv_admin_state"])
	if err != nil {
		return ServerState{}, err
	}
	return ServerState{
		Backend: value["be_name"], Name: value["srv_name"], Address: netip.AddrPortFrom(addr, uint16(port)),
		Operation: Operation(operation), Admin: Admin(admin),
	}, nil
}
