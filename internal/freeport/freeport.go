// Package freeport finds ports for the servers of this project's tests.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
)

// The ports given lie below those that a kernel gives on its own, to connections and to
// whoever listens at port 0: Linux begins at 32768, others at 49152 as RFC 6335, section 6,
// has it. So nobody who does not name a port takes one before the server listens there.
const (
	lowest = 20000
	count  = 12000
)

// Two processes may run tests at once, so each begins anywhere. It then goes round: a port
// is not given twice before all others were.
var (
	start = rand.Uint32N(count) //nolint:gosec // a port is not a secret
	given atomic.Uint32
)

// Next returns a TCP port that nobody listens at on 127.0.0.1.
func Next() (string, error) {
	for range count {
		port := strconv.Itoa(lowest + int((start+given.Add(1))%count))
		if l, err := net.Listen("tcp4", "127.0.0.1:"+port); err == nil {
			return port, l.Close()
		}
	}
	return "", fmt.Errorf("no port from %d to %d is free", lowest, lowest+count-1)
}
