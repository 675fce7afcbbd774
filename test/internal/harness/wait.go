package harness

import (
	"crypto/tls"
	"testing"
	"time"
)

// Patience is how long tests wait for what must happen: much longer than it takes, even on
// a machine under load.
const Patience = 30 * time.Second

// WaitUntil waits until a condition holds. The test ends if it does not hold within
// Patience.
func WaitUntil(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", Patience, what)
		}
	}
}

// WaitForCertificate waits until a new Caddy has created its certificate authority, and a
// certificate for a name (empty: the address's own).
func WaitForCertificate(t *testing.T, addr, name string) {
	t.Helper()
	WaitUntil(t, "there is a certificate at "+addr, func() bool {
		conn, err := tls.Dial("tcp4", addr, &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
}
