# Prints the certificates of this machine: a line "@ PATH" for each file, below it the blocks
# of certificates in PEM, or lines NAME BASE64 of a kubeconfig. Private keys are in some of these files; nothing
# but what is asked for leaves the machine. $1 is put before each path.
root=$1
folders=
for f in /etc/kubernetes /etc/etcd /etc/haproxy /var/lib/kubelet/pki /var/lib/etcd/pki; do
	[ ! -d "$root$f" ] || folders="$folders $root$f"
done
[ -z "$folders" ] || find -L $folders -type f \( -name '*.crt' -o -name '*.pem' -o -name '*.cert' \) -exec awk '
	FNR == 1 { print "@ " FILENAME; inside = 0 }
	/^-----BEGIN / { inside = /^-----BEGIN CERTIFICATE-----/ } # a key may follow on a certificate that is cut off
	inside { print }
	/^-----END / { inside = 0 }
' {} + || exit
set --
for f in "$root"/etc/kubernetes/*.conf "$root/root/.kube/config"; do
	[ ! -f "$f" ] || set -- "$@" "$f"
done
[ $# -eq 0 ] || awk '
	FNR == 1 { print "@ " FILENAME }
	{
		line = $0
		while (match(line, /(client-certificate|certificate-authority)-data["\047]?:[ \t]*["\047]?[A-Za-z0-9+\/=]+/)) {
			found = substr(line, RSTART, RLENGTH)
			line = substr(line, RSTART + RLENGTH)
			name = value = found
			sub(/-data.*/, "-data", name)
			sub(/.*[^A-Za-z0-9+\/=]/, "", value)
			print name " " value
		}
	}
' "$@"
