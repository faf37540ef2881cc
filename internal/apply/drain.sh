# What a machine does in a planned move of the address that clients use: the one that has it goes on with the connections that it has (leave), and
# those that could have it next hand packets of connections that did not begin with them on to it (take). systemd runs it as one transient unit,
# whose ExecStopPost takes everything away again however that ends, so nothing is left where nobody waits for it any more. Set before this text:
#   link     the link on which keepalived has the addresses, such as eth0
#   moves    each address that moves, and where it is before: 10.10.10.3=10.10.10.4
#   ports    those of the load balancer: 6443,8443
#   seconds  that connections get, and of them the last ones, in which those go that wait for no answer
#   told     the file by which haplane agent balancer knows that this machine is not to have the addresses
#   kept     where this machine's settings are kept meanwhile
set -eu
table=haplane-drain
ipv4=/proc/sys/net/ipv4/conf/$link

each() { # each FUNCTION: with address and where it is before
	failed=0
	for move in $moves; do "$1" "${move%%=*}" "${move#*=}" || failed=1; done
	return $failed
}

alone() { # the address without its network
	case $1 in *:*) echo "$1/128" ;; *) echo "$1/32" ;; esac
}

filter=$(echo "( sport = :$ports )" | sed 's/,/ or sport = :/g') # of ss

seconds_up() {
	read -r up _ </proc/uptime
	echo "${up%.*}"
}

# held succeeds while keepalived has one of the addresses here.
held() {
	for move in $moves; do
		[ -z "$(ip -oneline address show dev "$link" to "${move%%=*}")" ] || return 0
	done
	return 1
}

# Those that begin here begin with a SYN, which the set remembers for as long as the table is there. Where it has no room
# for one, that one begins on the other machine. From here alone nobody is handed on: the answer would come from an address
# that this machine has itself.
take() {
	family=ip type=ipv4_addr
	case $1 in *:*) family=ip6 type=ipv6_addr ;; esac
	nft -f - <<-END
		table $family $table {
			set begun { type $type . inet_service . inet_service; size 65536; flags dynamic; }
			chain prerouting {
				type filter hook prerouting priority mangle; policy accept;
				iifname "$link" $family daddr $1 tcp dport { $ports } jump judge
			}
			chain judge {
				tcp flags & (syn|ack|rst) == syn update @begun { $family saddr . tcp sport . tcp dport } accept
				$family saddr . tcp sport . tcp dport @begun accept
				dup to $2 device "$link"
				drop
			}
		}
	END
}

untake() {
	family=ip
	case $1 in *:*) family=ip6 ;; esac
	nft delete table "$family" "$table" 2>/dev/null || true
}

# keep_settings has IPv4 neither answer for an address that the link does not have, nor ask in its name.
keep_settings() {
	if [ ! -e "$kept" ]; then
		echo "$(cat "$ipv4/arp_ignore") $(cat "$ipv4/arp_announce")" >"$kept.new" && mv "$kept.new" "$kept" || return
	fi
	echo 1 >"$ipv4/arp_ignore" && echo 2 >"$ipv4/arp_announce"
}

# On lo the address is no answer to who asks the link for it, as long as the link itself does not have it: IPv6 is so by
# itself, IPv4 when it is told.
keep() {
	case $1 in
	*:*) ip address replace "$1/128" dev lo nodad preferred_lft 0 ;;
	*) ip address replace "$1/32" dev lo ;;
	esac
}

drop() { ip address delete "$(alone "$1")" dev lo 2>/dev/null || true; }

# sockets calls ss for those of an address, with further words.
sockets() {
	address=$1
	shift
	case $address in *:*) address="[$address]" ;; esac
	ss --no-header --tcp --numeric "$@" src "$address" "$filter"
}

# open lists connections over which something may still come or go: also those that one side has closed.
open() { sockets "$1" state established state close-wait state fin-wait-1 state last-ack state closing; }

reset() { sockets "$1" --kill >/dev/null; }

# reset_quiet ends connections that wait for no answer: what went over them last went to the client, a moment ago, so that his next
# request is not under way yet, or a second ago and longer, as where he watches. He comes again over another one.
reset_quiet() {
	quiet=$(sockets "$1" --oneline --info state established | awk '$1 == 0 && $2 == 0 {
		sent = received = 0
		for (i = 5; i <= NF; i++) {
			if ($i ~ /^lastsnd:/) sent = substr($i, 9) + 0
			if ($i ~ /^lastrcv:/) received = substr($i, 9) + 0
		}
		if (sent <= received && (sent >= 10 && sent <= 40 || sent >= 1000) && found < 500) printf "%sdst %s", found++ ? " or " : "", $4
	}')
	[ -z "$quiet" ] || sockets "$1" --kill "( $quiet ) and" >/dev/null
}

case $1 in
take)
	each untake
	held || each take # what it has already did begin here
	;;
taken) each untake ;;
leave)
	mkdir -p "${kept%/*}" "${told%/*}"
	{ keep_settings && each keep; } || each reset # while it has the address still: after that it could tell nobody
	echo 1 >"$told"
	;;
wait)
	set +e # what fails now is tried again in a moment
	set -- $seconds
	tries=0
	while held; do # keepalived has not read it yet
		tries=$((tries + 1))
		[ "$tries" -lt 200 ] || exit 0
		sleep 0.05
	done
	began=$(seconds_up)
	pause=0.2
	while sleep "$pause"; do
		held && exit 0 # nobody else took it, and this machine has it again
		passed=$(($(seconds_up) - began))
		[ "$passed" -lt "$1" ] || exit 0
		[ "$passed" -lt $(($1 - $2)) ] || {
			pause=0.05
			each reset_quiet
		}
		[ "$passed" -lt 2 ] || [ -n "$(each open)" ] || exit 0 # who has not learned yet where it is comes here first
	done
	;;
left)
	set +e # whatever of it does not work
	held || each reset
	each drop
	if [ -e "$kept" ] && read -r ignore announce <"$kept"; then
		echo "$ignore" >"$ipv4/arp_ignore"
		echo "$announce" >"$ipv4/arp_announce"
		rm -f "$kept"
	fi
	;;
esac
