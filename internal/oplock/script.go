package oplock

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/machine"
)

// dir is where a machine has its part of the lock; gone after a reboot.
const dir = "/run/haplane"

// script does one thing to the lock of one machine. The file has three lines: token, uptime of
// the last heartbeat, holder; and a fourth, tries, while somebody only tries to get it: he is in the way of all who try too, and gives way to
// who holds it. The kernel's lock on a second file makes each run atomic, and ends
// with the process however that ends.
const script = `op=$1 dir=$2 mine=$3 limit=$4
umask 077
mkdir -p "$dir" || exit 1
exec 9>"$dir/guard" || exit 1
flock -w 5 9 || { echo "others keep $dir/guard locked" >&2; exit 1; }
read -r up rest </proc/uptime; up=${up%.*}
token= beat=0 holder= tries= broken=
if [ -f "$dir/lock" ]; then { read -r token; read -r beat; read -r holder; read -r tries; } <"$dir/lock"; fi
if [ -f "$dir/broken" ]; then read -r broken <"$dir/broken"; fi
case $beat in ''|*[!0-9]*) beat=$((up + 1)) ;; esac
age=$((up - beat))
state=other
if [ -z "$token" ]; then
	state=free
	if [ -n "$broken" ] && [ "$broken" = "$mine" ]; then state=broken; fi
elif [ "$token" = "$mine" ]; then state=mine
elif [ "$age" -lt 0 ] || [ "$age" -gt "$limit" ]; then state=expired
elif [ "$op-$tries" = take-tries ]; then state=expired
fi
case $op-$state in
try-free|try-broken|try-mine|try-expired|take-free|take-mine|take-expired)
	{ printf '%s\n%s\n%s\n' "$mine" "$up" "$json"; [ $op = take ] || echo tries; } >"$dir/new" && mv -f "$dir/new" "$dir/lock" || exit 1
	state=mine age=0 holder=$json ;;
release-mine) rm -f "$dir/lock" || exit 1 ;;
break-other|break-expired) mv -f "$dir/lock" "$dir/broken" || exit 1 ;;
esac
printf '%s %s\n%s\n' "$state" "$age" "$holder"`

// What the script does.
const (
	opTry     = "try"  // for who does not hold it yet
	opTake    = "take" // also the heartbeat
	opRelease = "release"
	opBreak   = "break"
	opRead    = "read"
)

// What a machine said, of the lock as it was before; after a try or a take that was granted it is mine.
const (
	isMine    = "mine"
	isOther   = "other"   // somebody else's, who lives
	isExpired = "expired" // somebody else's, who has not been heard of
	isFree    = "free"
	isBroken  = "broken" // it was mine, and was broken by force
)

// An answer is what one machine says of its lock.
type answer struct {
	machine string
	state   string
	seen    Seen // where there is a holder
	err     error
}

func run(ctx context.Context, m machine.Machine, op string, me Holder, limit time.Duration) answer {
	a, word := answer{machine: m.Name()}, op
	if op == opTry {
		word = opTake
	}
	text, err := json.Marshal(me)
	if err != nil {
		a.err = fmt.Errorf("%s the lock of %s: %w", word, m.Name(), err)
		return a
	}
	// By stdin, so that errors, which repeat the arguments, stay short.
	cmd := machine.Cmd("sh", "-s", "--", op, dir, me.Token, strconv.Itoa(int(limit.Seconds())))
	cmd.Stdin = strings.NewReader("json=" + machine.Quote([]string{string(text)}) + "\n" + script + "\n")
	result, err := m.Run(ctx, cmd)
	if err == nil {
		err = a.parse(result.Stdout)
	}
	if err != nil {
		a.err = fmt.Errorf("%s the lock of %s: %w", word, m.Name(), err)
	}
	return a
}

func (a *answer) parse(text string) error {
	first, holder, _ := strings.Cut(text, "\n")
	var age int
	if _, err := fmt.Sscanf(first, "%s %d", &a.state, &age); err != nil {
		return fmt.Errorf("read %q: %w", text, err)
	}
	if holder = strings.TrimSpace(holder); holder == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(holder), &a.seen.Holder); err != nil {
		// Somebody wrote into the file. Who it was is unknown; that it is held is not.
		a.seen.Who, a.seen.Command = "unknown", "unreadable: "+holder
	}
	a.seen.Heartbeat, a.seen.Expired, a.seen.On = time.Duration(age)*time.Second, a.state == isExpired, []string{a.machine}
	return nil
}
