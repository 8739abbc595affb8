package checkpoint

import "time"

// share is how many times longer than writing a checkpoint training goes on before the next one.
const share = 20

// A Pace says how often a checkpoint is written.
type Pace struct {
	cost    time.Duration // of the last writing
	written time.Time     // the end of the last writing
}

// Due tells whether writing a checkpoint now is cheap.
func (p *Pace) Due() bool { return time.Since(p.written) >= share*p.cost }

// Write calls write, and measures how long it takes if there is no error.
func (p *Pace) Write(write func() error) error {
	start := time.Now()
	if err := write(); err != nil {
		return err
	}
	p.written = time.Now()
	p.cost = p.written.Sub(start)
	return nil
}
