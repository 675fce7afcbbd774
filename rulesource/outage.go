package rulesource

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// outage is the time in which documents of buckets cannot be read. Its beginning and end
// are logged, and metrics show it for OtherBuckets.
type outage struct {
	buckets *buckets

	mu          sync.Mutex
	err         error // of the latest failure; nil: there is no outage
	lastFailure time.Duration
}

// failed records that a document could not be read.
func (o *outage) failed(err error) {
	if o.buckets.ctx.Err() != nil { // which may be why
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	isNew := o.err == nil
	o.err, o.lastFailure = err, o.buckets.now()
	if !isNew {
		return
	}
	o.buckets.overflow.handle.Failed()
	message := "CORS rules of buckets cannot be read; none are loaded"
	if len(o.buckets.all()) > 0 {
		message = "CORS rules of buckets cannot be read; those that are loaded stay in force"
	}
	o.buckets.opts.Logger.Error(message, zap.Error(err))
}

// recovered records that a document could be read. The outage is over if none has failed
// for refresh: so one that can never be read is not a new outage each time.
func (o *outage) recovered() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil || o.buckets.now()-o.lastFailure < o.buckets.refresh {
		return
	}
	o.err = nil
	o.buckets.overflow.handle.Recovered()
	o.buckets.opts.Logger.Info("CORS rules of buckets can be read again")
}

// current returns why documents cannot be read; nil if they can.
func (o *outage) current() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}
