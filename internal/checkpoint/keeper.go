package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"

	"example.com/backprop/internal/modelfile"
)

// A Keeper keeps a training in a file: what it was at the end of its last epoch. A nil Keeper keeps nothing.
type Keeper struct {
	State       // the caller's to change, then to call Captured
	Path        string
	Description string             // of the network
	Network     []modelfile.Tensor // copies, which the caller changes as it does State

	pending bool // what was captured last is not written
	pace    Pace
}

// Captured says that State and Network are those of the end of another epoch.
func (k *Keeper) Captured() { k.pending = true }

// Due tells whether writing takes but little of the time since it was last done.
func (k *Keeper) Due() bool { return k != nil && k.pace.Due() }

// Write writes what was captured last, unless it is written.
func (k *Keeper) Write() error {
	if k == nil || !k.pending {
		return nil
	}
	err := k.pace.Write(func() error {
		file, err := modelfile.Encode(k.Description, k.Network)
		if err != nil {
			return err
		}
		k.AddTo(file)
		return file.Replace(k.Path)
	})
	if err != nil {
		//lint:ignore ST1005 it begins with the name of a field
		return fmt.Errorf("Checkpoint %s: %w", k.Path, err)
	}
	k.pending = false
	return nil
}

// Resume fills Network from the file, and returns the state in it, which is nil if there is no file. It returns an
// error if the file is not that of the training that is wanted.
func (k *Keeper) Resume(want Wanted) (state *State, err error) {
	err = modelfile.Open(k.Path, func(file *modelfile.Reader) error {
		if file.Description != k.Description {
			return Another("another network, %.400s, want %.400s", file.Description, k.Description)
		}
		state, err = Read(file, k.Network, want)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return state, err
}
