# Looks at a machine, and changes nothing on it: sh reads this from its input, and
# then, round by round, what to look at. $mark, which nobody can guess, begins a section of the
# answer. $root and $proc are / and /proc, but for tests.
LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin
export LC_ALL PATH
newline='
'
IFS=$newline
cd "$root" || exit 1

has() { command -v "$1" >/dev/null 2>&1; }
section() { printf '\n%s %s\n' "$mark" "$1${2:+ $2}"; }

# clock begins an answer, so that its first byte comes after the clock was read.
clock() { date "+$newline$mark clock$newline%s.%N"; }

# survey tells what runs, and puts what tells it among the files to look at.
survey() {
	section host; read -r line <"$proc/sys/kernel/hostname" && printf '%s\n' "$line"
	section user; while IFS='	' read -r key real user rest && [ "$key" != Uid: ]; do :; done </proc/self/status; printf '%s\n' "$user"
	section addresses; if has ip; then ip -o addr; else hostname -I; fi
	section tools
	for tool in curl socat systemctl stat sha256sum; do has $tool && printf '%s\n' $tool; done
	for file in "$proc/net/tcp" "$proc/net/tcp6"; do [ ! -r "$file" ] || sockets=$sockets$newline$file; done
	processes
	[ -z "$balances" ] || ! has nft || led
	units
}

# led tells what ends elsewhere than where it is sent, where a load balancer may be what it is for: of tables that are neither kube-proxy's
# nor of iptables, which may be very long.
led() {
	section led
	for table in $(nft list tables 2>/dev/null); do
		case $table in
		*' nat' | *' filter' | *' mangle' | *' raw' | *' security' | *' kube-proxy') continue ;;
		esac
		IFS=' '
		nft list $table 2>/dev/null
		IFS=$newline
	done | grep -E '^[[:space:]]*ip6? daddr [^ ]+ tcp dport .* dnat (ip6? )?to '
}

# processes passes over what cannot be a program of a cluster by its name alone.
processes() {
	groups= units= balances=
	for dir in "$proc"/[0-9]*; do
		read -r name <"$dir/comm" || continue
		case $name in
		kube* | hyperkube | etcd* | haproxy* | nginx* | haplane* | k3s* | k0s* | keepalived* | ucarp* | pacemakerd* | go-runner | tini | dumb-init) ;;
		*) continue ;;
		esac
		case $name in haproxy*) balances=1 ;; esac
		group=-
		while read -r line; do
			case $line in
			*kubepods*) group=pod; break ;;
			*docker-*.scope* | */docker/* | *libpod* | *nerdctl* | */lxc/*) group=container; break ;;
			*.service) group=${line##*/} ;;
			esac
		done <"$dir/cgroup"
		case $group in *.service) unit $group ;; esac
		lines=$lines$newline$dir/cmdline exes=$exes$newline$dir/exe groups=$groups${dir##*/}\ $group$newline
	done
	section groups; printf '%s' "$groups"
}

# unit adds one to those to ask about, which costs systemd more than us.
unit() { case $units$newline in *"$newline$1$newline"*) ;; *) units=$units$newline$1 ;; esac; }

# units finds those of programs of a cluster by name, by what runs, and by what is in
# their files, but for those that are on every node. Where systemd does not answer, the
# files have to do.
folders='etc/systemd/system
run/systemd/system
usr/local/lib/systemd/system
usr/lib/systemd/system'
[ lib -ef usr/lib ] || folders=$folders${newline}lib/systemd/system
units() {
	others=
	for folder in $folders; do
		for file in "$folder"/*.service; do
			case ${file##*/} in
			*@.service) ;;
			kube* | etcd* | haproxy* | nginx* | haplane* | k3s* | k0s* | keepalived* | ucarp* | pacemaker*) unit "${file##*/}" ;;
			containerd.service | crio.service | docker.service | cri-docker.service | flanneld.service | sshd.service) ;;
			*) [ $folder != etc/systemd/system ] || [ ! -f "$file" ] || others=$others$newline$file ;;
			esac
		done
	done
	[ -z "$others" ] || for file in $(grep -lE '(kube-|kubelet|etcd|haproxy|nginx|haplane|k3s|k0s)' $others); do unit "${file##*/}"; done
	[ -n "$units" ] || return
	shown=$(systemctl show --property="$properties" -- $units)
	section units; printf '%s\n' "$shown"
	for line in $shown; do
		case $line in
		FragmentPath=/*) look text "${line#*=}" ;;
		DropInPaths=/*) IFS=' '; look text ${line#*=}; IFS=$newline ;;
		esac
	done
	[ -z "$shown" ] || return
	for folder in $folders; do
		for unit in $units; do
			look text "$folder/$unit" "$folder/$unit.d/*.conf"
			look stat "$folder/*.wants/$unit" "$folder/*.requires/$unit"
		done
	done
}

# look takes patterns of files to look at, and what of them.
begin() { sockets= lines= exes= text= balancer= pem= private= digest= stat=; }
look() {
	kind=$1; shift
	for pattern; do
		IFS=$newline
		for file in ${pattern#/}; do
			[ -e "$file" ] || continue
			stat=$stat$newline$file
			[ $kind = stat ] || [ -f "$file" ] || continue
			[ $kind = stat ] || [ -r "$file" ] || { section denied /"$file"; continue; }
			case $kind in
			text) text=$text$newline$file ;;
			balancer) balancer=$balancer$newline$file ;;
			pem) pem=$pem$newline$file ;;
			key) private=$private$newline$file ;;
			digest) digest=$digest$newline$file ;;
			esac
		done
	done
}

# half tells how many private keys are in a file, and the public half of the only one.
half() {
	section key "/$1"
	count=$(grep -c -e '-----BEGIN .*PRIVATE KEY-----' "$1")
	printf 'private %s\n' "$count"
	[ "$count" = 1 ] && has openssl && openssl pkey -in "$1" -passin pass: -pubout 2>/dev/null
}

# files looks at all of them with one process for each thing to tell. Command lines come
# by way of the input: their arguments in lines, and line ends as what no text has.
files() {
	[ -n "$stat$exes$sockets" ] || return
	section stat; stat -L -c '%d:%i %a %U %G %s /%n' $stat $exes
	[ -z "$digest" ] || { section digest; sha256sum $digest; }
	for file in $private; do half "$file"; done
	{ [ -z "$lines" ] || head -v -c 131072 $lines | tr '\000\n' '\n\001'; } |
		awk -v mark="$mark" -v limit=$limit "$redact" kind=sockets $sockets kind=processes ${lines:+-} kind=text $text kind=balancer $balancer kind=pem $pem
}

# ask makes requests, one after the other, until one has no answer. The second argument
# is a CA that is in no file, or empty. Errors come in the end: curl prints them whenever
# it likes.
ask() {
	section answer $1; ca=$2; shift 2
	{
		errors=$(
			[ -z "$ca" ] || printf '%s\n' "$ca" | curl -q -sS --fail-early "$@" 2>&1 >&3
			[ -n "$ca" ] || exec curl -q -sS --fail-early "$@" 2>&1 >&3
		)
	} 3>&1
	printf '\n@errors\n%s\n' "$errors"
}

# state asks HAProxy at its socket.
state() {
	section answer state
	echo show stat | socat -t 2 - "UNIX-CONNECT:$1,connect-timeout=2" 2>&1; printf '@exit %s\n' $?
}

# strangers tells what keepalived has said lately of VRRP that none of its peers has sent: the last line of it.
strangers() {
	has journalctl || return
	section answer strangers
	set -- journalctl --quiet --no-pager --output=cat --since=-10min --lines=2000 _COMM=keepalived
	if has timeout; then set -- timeout 3 "$@"; fi
	"$@" 2>/dev/null | grep -E 'not a unicast peer|not present in MASTER advert' | tail -n 1
}

# version asks the program of a process, if its file is still the one that runs.
version() {
	[ "$2" -ef "$proc/$1/exe" ] || return
	section answer version-$1
	if has timeout; then timeout 3 "$2" --version 2>&1; else "$2" --version 2>&1; fi
}
