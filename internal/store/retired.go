package store

import (
	"maps"
	"time"
)

// retiredKept is how long a certificate that was made anew is told from a stranger's: longer than a look at who came lately goes back.
const retiredKept = time.Hour

// Retire notes client certificates that are about to be made anew, by their SHA-256.
func (r *Record) Retire(certificates []string) {
	r.Retired = Retiring(r.Retired, certificates)
}

// Retiring are the certificates that were retired, with those that will be.
func Retiring(retired map[string]time.Time, certificates []string) map[string]time.Time {
	if len(certificates) == 0 {
		return retired
	}
	out := map[string]time.Time{}
	maps.Copy(out, retired)
	for _, c := range certificates {
		out[c] = time.Time{}
	}
	return out
}

// SettleRetired notes when those are in use nowhere any more, and forgets what was long ago.
func (r *Record) SettleRetired(at time.Time) {
	for c, was := range r.Retired {
		switch {
		case was.IsZero():
			r.Retired[c] = at
		case at.Sub(was) > retiredKept:
			delete(r.Retired, c)
		}
	}
}
