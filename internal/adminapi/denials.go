package adminapi

import (
	"net/http"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/running"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
)

// denials is what GET /oss_cors/denials shows.
type denials struct {
	// Origins are those that metrics show, the most often denied first.
	Origins []metrics.DeniedOrigin `json:"origins"`

	// Latest has at most running.MaxDenials, the newest first.
	Latest []running.Denial `json:"latest"`
}

func serveDenials(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, denials{
		Origins: append([]metrics.DeniedOrigin{}, metrics.Default.DeniedOrigins()...),
		Latest:  append([]running.Denial{}, running.Denials()...),
	})
}
