package command

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// showProgress draws a bar on a terminal until stop is called, which removes it.
func showProgress(w io.Writer, l *logReader, files []string) (stop func()) {
	if !isTerminal(w) {
		return func() {}
	}
	total, start, done := sizeOf(files), time.Now(), make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				fmt.Fprint(w, "\r\x1b[K")
				return
			case <-ticker.C:
				fmt.Fprint(w, "\r\x1b[K"+progressBar(l.read.Load(), total, time.Since(start)))
			}
		}
	})
	return func() {
		close(done)
		wait.Wait()
	}
}

// progressBar shows how much of total is read; the number of bytes alone where total is 0.
func progressBar(read, total int64, elapsed time.Duration) string {
	const width = 30
	speed := fmt.Sprintf("%d MB, %d MB/s", read/1e6, int64(float64(read)/1e6/elapsed.Seconds()))
	if total == 0 {
		return speed
	}
	filled := int(min(read, total) * width / total)
	return fmt.Sprintf("[%s%s] %3d%%  %s", strings.Repeat("=", filled), strings.Repeat(" ", width-filled), min(read, total)*100/total, speed)
}
