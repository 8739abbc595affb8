package modelfile

import (
	"fmt"
	"reflect"
	"sync"
	"unicode/utf8"
)

// Names are the activations that a file may name, each by its String. All methods may be called concurrently.
type Names[F fmt.Stringer] struct {
	mu    sync.RWMutex
	known map[string]F
	parse func(name string) (f F, ok bool)
}

// NewNames returns Names of the given activations and of those that parse makes of a name, such as
// "LeakyReLU(0.01)".
func NewNames[F fmt.Stringer](parse func(name string) (f F, ok bool), known ...F) *Names[F] {
	n := &Names[F]{known: map[string]F{}, parse: parse}
	for _, f := range known {
		n.known[f.String()] = f
	}
	return n
}

// Register lets files name f. It returns an error if its name is taken or cannot be kept.
func (n *Names[F]) Register(f F) error {
	name := f.String()
	if err := checkName(name); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.find(name); ok {
		return fmt.Errorf("the name %q is taken", name)
	}
	n.known[name] = f
	return nil
}

// Find returns the activation of a name.
func (n *Names[F]) Find(name string) (F, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	f, ok := n.find(name)
	if !ok {
		return f, fmt.Errorf("activation %.50q is not known; register it with RegisterActivation", name)
	}
	return f, nil
}

// NameOf returns the name of f. It returns an error if the name cannot be kept, or is that of another
// activation.
func (n *Names[F]) NameOf(f F) (string, error) {
	name := f.String()
	if err := checkName(name); err != nil {
		return "", err
	}
	known, err := n.Find(name)
	if err == nil && reflect.TypeOf(known) != reflect.TypeOf(f) {
		return "", fmt.Errorf("the name %q of its %T is that of a %T", name, f, known)
	}
	return name, nil
}

func (n *Names[F]) find(name string) (F, bool) {
	if f, ok := n.known[name]; ok {
		return f, true
	}
	return n.parse(name)
}

// checkName returns an error if a name cannot be kept.
func checkName(name string) error {
	if name == "" || len(name) > 200 || !utf8.ValidString(name) {
		return fmt.Errorf("the activation's name %.50q cannot be saved, want 1 to 200 bytes of UTF-8", name)
	}
	return nil
}
