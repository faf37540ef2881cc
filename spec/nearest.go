package spec

import (
	"strings"

	"github.com/agnivade/levenshtein"
)

// maxMistakes is how many letters may be wrong in a name that is still recognized.
const maxMistakes = 2

// Nearest returns the candidate that a misspelt name most likely means, or "".
func Nearest(name string, candidates []string) string {
	best, least := "", maxMistakes+1
	for _, c := range candidates {
		if d := levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(c)); d < least && d < len(c) {
			best, least = c, d
		}
	}
	return best
}
