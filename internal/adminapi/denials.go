package adminapi

import (
	"net/http"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/running"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
)

// denials is what GET /oss_cors/denials shows.
type denials struct {
	// Origins are those that metrics show, the most often denied first.
	Origins []metrics.DeniedOrigin `json:"origins"`

	// Started is when the process began to count, and Configured when the newest
	// configuration with an oss_cors handler was loaded, if there is one.
	Started    time.Time  `json:"started"`
	Configured *time.Time `json:"configured,omitempty"`

	// Latest has at most running.MaxDenials, the newest first.
	Latest []running.Denial `json:"latest"`
}

func serveDenials(w http.ResponseWriter, _ *http.Request) error {
	result := denials{
		Started: running.Started,
		Origins: append([]metrics.DeniedOrigin{}, metrics.Default.DeniedOrigins()...),
		Latest:  append([]running.Denial{}, running.Denials()...),
	}
	if sites := running.Sites(); len(sites) > 0 {
		result.Configured = &sites[len(sites)-1].Added
	}
	return writeJSON(w, result)
}
