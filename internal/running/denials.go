package running

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// MaxDenials is how many of the latest denials are kept, in the whole process: as many
	// as a person looks through. They take less than a megabyte.
	MaxDenials = 256

	// maxText bounds each text that a client sent, in bytes. It is longer than any origin
	// that metrics show, so that both are the same text.
	maxText = 300

	// maxHeaders bounds the requested headers, in bytes: some 50 names.
	maxHeaders = 1000
)

// Denial is a denied request. Its texts are cut where they are too long; they are what a
// client sent, and not to be trusted.
type Denial struct {
	// Number counts the denials of the process, from 1.
	Number uint64    `json:"number"`
	Time   time.Time `json:"time"`

	Ruleset string `json:"ruleset"`
	Kind    string `json:"kind"`

	// Reason, Value and Nearest are those of corsrules.Decision.
	Reason  string `json:"reason"`
	Value   string `json:"value,omitempty"`
	Nearest string `json:"nearest,omitempty"`

	Origin string `json:"origin"`

	// Method is that of the actual request; Headers are those that a preflight names.
	Method  string `json:"method"`
	Headers string `json:"headers,omitempty"`

	// Path has no query: that of a presigned URL is a key.
	Path string `json:"path"`

	// Client is the client's IP address. RequestID is the ID that the client was given;
	// empty if it was given none.
	Client    string `json:"client"`
	RequestID string `json:"request_id,omitempty"`
}

var latest struct {
	mu      sync.Mutex
	total   uint64
	denials []Denial // as a ring
}

// AddDenial keeps a denial, in place of the oldest if there are MaxDenials. It sets Number
// and Time, and copies the texts: a request's strings keep all of its header in memory.
func AddDenial(d Denial) {
	d.Path, _, _ = strings.Cut(d.Path, "?")
	d.Headers = shorten(d.Headers, maxHeaders)
	texts := [...]*string{&d.Value, &d.Origin, &d.Method, &d.Path, &d.Client, &d.RequestID, &d.Headers}
	for _, text := range texts[:len(texts)-1] {
		*text = shorten(*text, maxText)
	}
	// One copy for all: a copy of each makes a denial a tenth slower.
	all := d.Value + d.Origin + d.Method + d.Path + d.Client + d.RequestID + d.Headers
	for _, text := range texts {
		*text, all = all[:len(*text)], all[len(*text):]
	}

	latest.mu.Lock()
	defer latest.mu.Unlock()
	latest.total++
	d.Number, d.Time = latest.total, time.Now()
	if len(latest.denials) < MaxDenials {
		latest.denials = append(latest.denials, d)
		return
	}
	latest.denials[(latest.total-1)%MaxDenials] = d
}

// Denials returns the latest denials, the newest first.
func Denials() []Denial {
	latest.mu.Lock()
	denials := slices.Clone(latest.denials)
	latest.mu.Unlock()
	slices.SortFunc(denials, func(a, b Denial) int { return cmp.Compare(b.Number, a.Number) })
	return denials
}

// shorten returns s, cut if it has more than most bytes.
func shorten(s string, most int) string {
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
