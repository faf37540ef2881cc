# Takes secrets out of text, line by line, and what is of no use out of tables. kind says
# what the files are; those of processes have an argument in each line.
BEGIN {
	word = "(token|passw|secret|passphrase|credential|api[_-]?key|private[_-]?key|access[_-]?key|key-data)"
	named = word "[a-z0-9_.-]*[\"']?[ \t]*[=:][ \t]*"
	spaced = "--?[a-z0-9_.-]*" word "[a-z0-9_.-]*[ \t]+"
	flag = "(^|[ \t\"'])--?[a-z0-9_.-]*" word "[a-z0-9_.-]*$"
	harmless = "^[\"']?(true|false|null|/[^ \t\"']*|[0-9.]+(ns|us|ms|s|m|h)[0-9a-z.]*)?[\"']?$"
	none = "REDACTED"
}

function plain(text) { gsub(/^[ \t]+|[ \t\r,]+$/, "", text); return text ~ harmless }

# inline replaces the values of NAME=VALUE and NAME: VALUE whose name is of a secret,
# and what follows a flag of such a name.
function inline(line) {
	if (line !~ /[=:]/) return apart(line)
	gsub(/:\/\/[^\/@ \t"']*@/, "://" none "@", line)
	gsub(/[Bb]earer +[A-Za-z0-9._~+\/=-]+/, none, line)
	return apart(assigned(line))
}

function assigned(line,   out, head, rest) {
	while (match(tolower(line), named)) {
		head = substr(line, 1, RSTART + RLENGTH - 1)
		rest = substr(line, RSTART + RLENGTH)
		if (head ~ /["'][A-Za-z0-9_.-]*=$/) { # the quote is around both
			match(head, /["'][A-Za-z0-9_.-]*=$/)
			match(rest, "^[^" substr(head, RSTART, 1) "]*")
		} else if (!match(rest, /^("([^"\\]|\\.)*"?|'[^']*'?|\[[^]]*\]?)/)) match(rest, /^[^] \t"',}{]+/)
		out = out head
		if (RLENGTH > 0) out = out (plain(substr(rest, 1, RLENGTH)) ? substr(rest, 1, RLENGTH) : none)
		line = substr(rest, RLENGTH > 0 ? RLENGTH + 1 : 1)
	}
	return out line
}

function apart(line,   out, rest) {
	while (match(tolower(line), spaced)) {
		out = out substr(line, 1, RSTART + RLENGTH - 1)
		rest = substr(line, RSTART + RLENGTH)
		match(rest, /^("[^"]*"?|'[^']*'?|[^-\\ \t"'][^ \t"']*)/)
		if (RLENGTH > 0) out = out (plain(substr(rest, 1, RLENGTH)) ? substr(rest, 1, RLENGTH) : none)
		line = substr(rest, RLENGTH > 0 ? RLENGTH + 1 : 1)
	}
	return out line
}

# commands cuts passwords of VRRP and what scripts are told out of a line of keepalived's. Braces stay.
function commands(line,   rest) {
	if (!match(tolower(line), /(^|[ \t{;])(auth_pass|script|misc_path|notify[a-z_]*|quorum_up|quorum_down)[ \t]+/)) return line
	rest = substr(line, RSTART + RLENGTH)
	line = substr(line, 1, RSTART + RLENGTH - 1) none
	gsub(/"[^"]*"?/, "", rest)
	gsub(/[^{}]+/, " ", rest)
	return line rest
}

# follows tells the line after a flag of a secret: an argument of its own.
function follows(line,   bare, is) {
	bare = line
	gsub(/^[ \t]*(- +)?["']?|["']?[ \t]*\\?$/, "", bare)
	is = before ~ flag && bare !~ /^-/ && bare !~ harmless
	before = tolower(bare)
	return is
}

# settings are variables of kube-vip, and of etcd, that say how it is set up.
function settings(name) {
	return name ~ /^((vip|cp|svc|lb|NODE|ETCD)_[A-Za-z0-9_]+|bgp_enable|address|port|config_file)$/ && tolower(name) !~ word "|pass"
}

# yaml replaces whole values, and leaves out the lines in which they go on.
function yaml(line,   column, key, value) {
	column = match(line, /[^ ]/)
	if (column == 0) return 1
	if (inside && column > inside && (block || line !~ /^[ ]*(- +)?["']?[A-Za-z0-9_.\/-]+["']?[ ]*:([ ]|$)/)) return 0
	if (inside && column == inside && line ~ /^[ ]*- / && line !~ /:([ ]|$)/) return 0
	inside = block = 0
	if (match(line, /^[ ]*(- +)*["']?[A-Za-z0-9_.-]+["']?[ ]*:([ ]+|$)/)) {
		key = tolower(substr(line, 1, RLENGTH))
		value = substr(line, RLENGTH + 1)
		if (key ~ /^[ ]*-/) variable = "" # an item of its own
		if (key ~ /^[ -]*["']?name["']?[ ]*:/) { variable = value; gsub(/["' \t\r]/, "", variable) }
		if (key ~ /^[ -]*["']?value["']?[ ]*:/ && value ~ /^["']?[A-Za-z0-9.:_\/,=-]+["']?[ \t\r]*$/ && settings(variable)) variable = ""
		else if ((key ~ word || key ~ /^[ -]*["']?(value|authorization)["']?[ ]*:/) && value !~ /^[{]/) {
			block = value ~ /^[|>]/
			if (!plain(value)) line = substr(line, 1, RLENGTH) none (value ~ /,[ \t\r]*$/ ? "," : "")
			match(key, /[a-z"']/); inside = RSTART
		}
	}
	print follows(line) ? substr(line, 1, column - 1) (line ~ /^[ ]*- / ? "- " : "") none (line ~ /\\$/ ? " \\" : "") : inline(line)
	return 0
}

FNR == 1 {
	printf "\n%s %s /%s\n", mark, kind, FILENAME
	open = inside = block = size = 0
	variable = ""
}
kind == "sockets" { if ($4 == "0A") print; next } # that listen
{ size += length($0) + 1 }
size > limit { next }
kind == "pem" {
	if (/-----BEGIN /) open = /^-----BEGIN (TRUSTED )?(CERTIFICATE|PUBLIC KEY|RSA PUBLIC KEY)-----/
	if (open) print
	if (/-----END /) open = 0
	next
}
kind == "balancer" { if (tolower($0) !~ /passw|secret|authorization|stats[ \t]+auth|^[ \t]*[$][a-z_0-9]*pass/) print commands($0); next }
kind == "text" { if (yaml($0)) print; next }
{ print follows($0) ? none : inline($0) }
