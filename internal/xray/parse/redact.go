package parse

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// Redacted stands for a secret.
const Redacted = "REDACTED"

// secretName is what a flag, variable or key is called whose value nobody may see.
const secretName = `[\w.-]*(?:token|passw|secret|passphrase|credential|api[_-]?key|private[_-]?key|access[_-]?key)[\w.-]*`

// value is a word as shells, units and JSON write one.
const value = `(?:"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s"']+)`

var (
	secretFlag   = regexp.MustCompile(`(?i)^--?` + secretName + `$`)
	secretWhole  = regexp.MustCompile(`(?is)^((?:--?)?(` + secretName + `)=)(.*)$`)
	secretQuoted = regexp.MustCompile(`(?is)"(?:--?)?` + secretName + `=(?:[^"\\]|\\.)*"?|'(?:--?)?` + secretName + `=[^']*'?`)
	secretValue  = regexp.MustCompile(`(?is)((` + secretName + `)["']?[ \t]*[=:][ \t]*)(` + value + `)`)
	secretWord   = regexp.MustCompile(`(?is)(--?(` + secretName + `)[ \t]+)("(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s"'-][^\s"']*)`)
	bearer       = regexp.MustCompile(`(?i)(authorization["']?[ \t]*[:=][ \t]*["']?\w+[ \t]+)[\w.~+/=-]+|(bearer[ \t]+)[\w.~+/=-]{16,}`)
	userInfo     = regexp.MustCompile(`://[^/\s"']*@`)
	flagLike     = regexp.MustCompile(`^(?:--[a-zA-Z]|-[a-zA-Z](?:$|=))`)
	closingParts = regexp.MustCompile(`[\]},]*$`)
)

// harmless values are no secrets, whatever they are called; namesFile is how a flag is
// called whose value is a file. A path under another name may be a secret that
// begins with a slash.
var (
	harmless  = regexp.MustCompile(`^(?:|true|false|null|REDACTED|\[\]|\{\}|(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+|(?:true|false)(?:,[\w.-]+=(?:true|false))+)$`)
	namesFile = regexp.MustCompile(`(?i)(?:file|files|path|dir|directory|config|conf)$`)
	filePath  = regexp.MustCompile(`^/[\w./@:~-]*$`)
)

// Redact takes the values of flags, variables and keys away whose names say that
// they are secret, and user and password out of URLs. Paths, durations and booleans stay.
func Redact(text string) string {
	if hasNoSecret(text) {
		return text
	}
	text = userInfo.ReplaceAllString(text, "://"+Redacted+"@")
	text = secretQuoted.ReplaceAllStringFunc(text, func(match string) string {
		inside := strings.TrimSuffix(match[1:], match[:1])
		return match[:1] + redactAssignment(inside) + match[:1]
	})
	for _, r := range []*regexp.Regexp{secretWord, secretValue} {
		text = r.ReplaceAllStringFunc(text, func(match string) string {
			parts := r.FindStringSubmatch(match)
			closing := closingParts.FindString(parts[3])
			if isHarmless(parts[2], strings.TrimSuffix(parts[3], closing)) {
				return match
			}
			return parts[1] + Redacted + closing
		})
	}
	return bearer.ReplaceAllString(text, "${1}${2}"+Redacted)
}

// hasNoSecret is a quick look: most of what is read has none of the words that the
// expressions begin with. Letters that are not ASCII may fold to theirs.
func hasNoSecret(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	lower := strings.ToLower(text)
	return !slices.ContainsFunc(secretParts, func(part string) bool { return strings.Contains(lower, part) })
}

// secretParts are parts of all that is redacted.
var secretParts = []string{"://", "token", "passw", "secret", "passphrase", "credential", "key", "authorization", "bearer"}

func isHarmless(name, text string) bool {
	if n := len(text); n >= 2 && (text[0] == '"' || text[0] == '\'') && text[n-1] == text[0] {
		text = text[1 : n-1]
	}
	return harmless.MatchString(text) || namesFile.MatchString(name) && filePath.MatchString(text)
}

// redactAssignment takes the whole of a NAME=VALUE, blanks included.
func redactAssignment(text string) string {
	parts := secretWhole.FindStringSubmatch(text)
	if parts == nil || isHarmless(parts[2], parts[3]) {
		return text
	}
	return parts[1] + Redacted
}

// RedactArgv does the same for an argument vector, whose arguments are whole values.
func RedactArgv(argv []string) []string {
	out := make([]string, len(argv))
	for i, arg := range argv {
		out[i] = redactAssignment(arg)
		if out[i] == arg {
			out[i] = Redact(arg)
		}
		if i == 0 || flagLike.MatchString(arg) {
			continue
		}
		before := argv[i-1]
		token := before == "-t" && known(argv) == evidence.K3s
		if token || secretFlag.MatchString(before) && !isHarmless(before, arg) {
			out[i] = Redacted
		}
	}
	return out
}

// redactSetting is for settings of a unit: those of Environment are assignments.
func redactSetting(key, value string) string {
	if key != "Environment" {
		return Redact(value)
	}
	var out []string
	for _, w := range RedactArgv(Words(value)) {
		out = append(out, quoted(w))
	}
	return strings.Join(out, " ")
}
