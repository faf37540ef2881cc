# Opens connections to a URL, all at once, and prints a line for each that does not get through to an API server that is
# ready. The authority's certificate comes on standard input: no file is made.
url=$1 tries=$2 limit=$3
ca=$(cat)
try() {
	why=$(printf '%s\n' "$ca" | curl --silent --show-error --fail --noproxy '*' --cacert /dev/stdin --max-time "$limit" --output /dev/null "$url" 2>&1) || printf '%s\n' "${why:-no answer}" | head -n 1
}
i=0
while [ "$i" -lt "$tries" ]; do
	try &
	i=$((i + 1))
done
wait
