// Package running keeps the sites that are being served. The admin API finds them here: Caddy
// sets it up before any configuration, and gives it none.
package running

import (
	"slices"
	"sync"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

// Site is one oss_cors handler of a running configuration, as plain values.
type Site struct {
	// Source has the rules in force; Shadow has the candidate rules, nil without any.
	Source, Shadow rulesource.Source

	// Policy is what the handler adds to what the rules say.
	Policy corsrules.Policy

	// Added is when the handler was ready to serve.
	Added time.Time
}

// Started is when the process began to count.
var Started = time.Now()

// PerBucket reports whether the site has rules for each of many buckets.
func (s *Site) PerBucket() bool {
	_, many := s.Source.(rulesource.PerBucket)
	return many
}

var (
	mu    sync.Mutex
	sites []*Site
)

// Add adds a site when its handler is ready to serve.
func Add(s *Site) {
	mu.Lock()
	defer mu.Unlock()
	s.Added = time.Now()
	sites = append(sites, s)
}

// Remove removes a site when its handler's configuration ends. It does nothing for one that
// was never added, such as that of a configuration that could not be loaded.
func Remove(s *Site) {
	mu.Lock()
	defer mu.Unlock()
	sites = slices.DeleteFunc(sites, func(other *Site) bool { return other == s })
}

// Sites returns the sites, the newest last.
func Sites() []*Site {
	mu.Lock()
	defer mu.Unlock()
	return slices.Clone(sites)
}
