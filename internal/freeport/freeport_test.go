package freeport

import (
	"net"
	"strconv"
	"testing"
)

func TestNext(t *testing.T) {
	taken := strconv.Itoa(lowest + int((start+given.Load()+1)%count))
	if l, err := net.Listen("tcp4", "127.0.0.1:"+taken); err == nil {
		defer l.Close()
	}
	seen := map[string]bool{taken: true}
	for range 100 {
		port, err := Next()
		if err != nil {
			t.Fatal(err)
		}
		if n, err := strconv.Atoi(port); err != nil || n < lowest || n >= lowest+count {
			t.Errorf("port %s is not one of those to be given", port)
		}
		if seen[port] {
			t.Errorf("port %s was given although it is taken", port)
		}
		seen[port] = true
	}
}
