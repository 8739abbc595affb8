package main

import (
	"bytes"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"example.com/backprop"
)

// A follower follows a file without a process and its signals.
type follower struct {
	url     string
	hangups chan os.Signal
	stop    func() (said string)
}

func follow(t *testing.T, path string) follower {
	t.Helper()
	p := loaded(t, path)
	var said bytes.Buffer
	log.SetOutput(&said)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	hangups := make(chan os.Signal)
	var group sync.WaitGroup
	group.Go(func() { p.follow(hangups, path) })
	stop := sync.OnceValue(func() string {
		close(hangups)
		group.Wait()
		return said.String()
	})
	t.Cleanup(func() { stop() })
	return follower{start(t, newServer(p)), hangups, stop}
}

// hangup returns when the file has been loaded: only then is a second hangup taken.
func (f follower) hangup() {
	f.hangups <- hangup
	f.hangups <- hangup
}

func TestARequestUnderWayEndsWithItsNetwork(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.safetensors")
	save := func(m *model) {
		if err := m.network.Save(path); err != nil {
			t.Fatal(err)
		}
	}
	save(untrained(t))
	f := follow(t, path)
	conn, response := begin(t, f.url)
	save(modelOf(t, 1, backprop.Dense{Units: 1}))
	f.hangup()
	if _, body := post(t, f.url, `{"inputs":[0]}`); string(body) != `{"outputs":[0]}`+"\n" {
		t.Errorf("the new network: %s", body)
	}
	if _, err := conn.Write([]byte(slowBody)); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(response, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body := read(t, r); r.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), `{"outputs":[0.1,`) {
		t.Errorf("the old network: status %d, %s", r.StatusCode, body)
	}
	if said := f.stop(); strings.Count(said, path+" is loaded anew\n") != 2 {
		t.Errorf("the log says %q", said)
	}
}

func TestABrokenFileKeepsTheOldNetworkAndIsLogged(t *testing.T) {
	path := trained(t)
	f := follow(t, path)
	_, before := post(t, f.url, slowBody)
	if err := os.Truncate(path, 1000); err != nil {
		t.Fatal(err)
	}
	f.hangup()
	if status, after := post(t, f.url, slowBody); status != http.StatusOK || !bytes.Equal(after, before) {
		t.Errorf("status %d, %s, want %s", status, after, before)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	f.hangup()
	if status, after := post(t, f.url, slowBody); status != http.StatusOK || !bytes.Equal(after, before) {
		t.Errorf("status %d, %s, want %s", status, after, before)
	}
	said := f.stop() // of two hangups each time
	if n := strings.Count(said, "the old network goes on"); n != 4 || !strings.Contains(said, "ends at byte 1000") {
		t.Errorf("the log says %q, want four reasons", said)
	}
}

// Two networks that add 1 and 2 take turns. Every answer is of one of them.
func TestNoRequestIsDroppedWhileNetworksChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.safetensors")
	save := func(bias float64) {
		m := modelOf(t, 1, backprop.Dense{Units: 1})
		m.network.Biases(0).SetVec(0, bias)
		if err := m.network.Save(path); err != nil {
			t.Fatal(err)
		}
	}
	save(1)
	f := follow(t, path)
	done := make(chan struct{})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				status, body := post(t, f.url, `{"inputs":[0]}`)
				if got := strings.TrimSpace(string(body)); got != `{"outputs":[1]}` && got != `{"outputs":[2]}` {
					t.Errorf("status %d, %s", status, got)
					return
				}
			}
		})
	}
	for i := range 20 {
		save(float64(2 - i%2))
		f.hangup()
	}
	close(done)
	group.Wait()
	if _, body := post(t, f.url, `{"inputs":[0]}`); string(body) != `{"outputs":[1]}`+"\n" {
		t.Errorf("at the end: %s, want 1", body)
	}
}
