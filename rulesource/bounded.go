package rulesource

import (
	"context"
	"fmt"
)

// bounded waits for a call to a storage that may not heed its context, when there is room
// for it, and until ctx is done. The call itself goes on, and keeps its room, until it
// returns.
func bounded[T any](ctx context.Context, room chan struct{}, call func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	var none T
	select {
	case room <- struct{}{}:
	case <-ctx.Done():
		return none, fmt.Errorf("not begun, while others are under way: %w", ctx.Err())
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-room }()
		value, err := call()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		return none, fmt.Errorf("no answer from the storage: %w", ctx.Err())
	}
}
