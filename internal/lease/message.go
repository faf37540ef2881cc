package lease

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/netip"
)

// A Kind is what a candidate asks for.
type Kind string

// The kinds of questions.
const (
	Probe   Kind = "probe"   // nothing: to hear from the voter
	Want    Kind = "want"    // its vote
	Release Kind = "release" // nothing any more: it has given up what it had
)

// A Question is what a candidate sends to a voter.
type Question struct {
	Kind     Kind       `json:"kind"`
	From, To netip.Addr // the candidate's own address, and that under which it asks the voter
	// Next is for whom a vote that is released is kept, for the length of a lease; none for anybody.
	Next netip.Addr
	// Session is drawn whenever a candidate begins. Sent is when it asked by its clock, and later than in any
	// question before.
	Session uint64
	Sent    Time
	// Voter and Clock are those of the newest answer that the candidate has of this voter: what shows
	// that it hears it, and that this question was made just now.
	Voter uint64
	Clock Time
}

// An Answer is what a voter sends back.
type Answer struct {
	From, To netip.Addr // To and From of the question
	Session  uint64     // of the question
	Sent     Time       // of the question
	Voter    uint64     // drawn whenever a voter begins
	Clock    Time       // the voter's
	Granted  bool       // the vote is the candidate's for Length from now
	// Balancer is what is so on the voter's machine, where that is a load balancer.
	Balancer *Balancer `json:",omitempty"`
}

// A Balancer is what load balancers tell each other.
type Balancer struct {
	Well       bool       // its HAProxy takes connections, and it could have the address
	Has        bool       // the address is there
	Electorate Electorate // the newest that it goes by
	Known      bool       // and whether it may have the address by it, see Candidate.GoesBy
}

// A Message is a question or an answer.
type Message struct {
	Question *Question `json:",omitempty"`
	Answer   *Answer   `json:",omitempty"`
}

// MaxMessage is the longest that a sealed message may be, in bytes.
const MaxMessage = 4096

// Seal writes a message and signs it by HMAC-SHA256.
func Seal(key []byte, m Message) []byte {
	text, err := json.Marshal(m)
	if err != nil { // only types that can be written are in it
		panic(err)
	}
	return append(text, sum(key, text)...)
}

// Open reads a message that was signed with one of some keys. Whatever else it is given, it only says that it is none.
func Open(keys [][]byte, sealed []byte) (Message, error) {
	n := len(sealed) - sha256.Size
	if n < 0 || len(sealed) > MaxMessage {
		return Message{}, errors.New("no message of the lease")
	}
	for _, key := range keys {
		if len(key) > 0 && hmac.Equal(sum(key, sealed[:n]), sealed[n:]) {
			var m Message
			if err := json.Unmarshal(sealed[:n], &m); err != nil || (m.Question == nil) == (m.Answer == nil) {
				return Message{}, errors.New("a signed message that says nothing")
			}
			return m, nil
		}
	}
	return Message{}, errors.New("not signed with a key of this cluster")
}

func sum(key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(text)
	return h.Sum(nil)
}
