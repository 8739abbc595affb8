package modelfile

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"example.com/backprop/internal/kernel"
	"example.com/backprop/internal/safetensors"
)

// The keys of a file's metadata.
const (
	versionKey    = "backprop.version"
	NetworkKey    = "backprop.network"    // of the description
	CheckpointKey = "backprop.checkpoint" // of what is said of a training
)

// formatVersion is the version of what the metadata says.
const formatVersion = "1"

// CheckpointPrefix begins the name of every tensor that belongs to a checkpoint and not to its
// network.
const CheckpointPrefix = "checkpoint."

// A Tensor is a part of a network's parameters or statistics, or of a checkpoint.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float64 // the caller's
	Least *float64  // the least that an element may be; nil for any
}

// Encode returns the file of a network. It returns an error if an element is not finite.
func Encode(description string, tensors []Tensor) (*safetensors.File, error) {
	file := &safetensors.File{Metadata: map[string]string{versionKey: formatVersion, NetworkKey: description}}
	for _, t := range tensors {
		if !kernel.Finite(t.Data) {
			return nil, fmt.Errorf("tensor %q has an element that is not finite", t.Name)
		}
		file.Tensors = append(file.Tensors, safetensors.Tensor{Name: t.Name, Type: "F64", Shape: t.Shape, Data: t.Data})
	}
	return file, nil
}

// A Reader reads a file: first what it says of itself, then the tensors that are asked for.
type Reader struct {
	Description string
	Checkpoint  string // what the metadata say of a training; "" if the file is no checkpoint

	file  *safetensors.Reader
	found map[string]safetensors.Tensor // that Check has let pass
}

// NewReader reads all but the elements of the tensors.
func NewReader(r io.Reader) (*Reader, error) {
	file, err := safetensors.NewReader(r, versionKey, NetworkKey, CheckpointKey)
	if err != nil {
		return nil, err
	}
	version, ok := file.Metadata[versionKey]
	if !ok {
		return nil, fmt.Errorf("the metadata has no %q; this is not a file of a network", versionKey)
	}
	if version != formatVersion {
		return nil, fmt.Errorf("%s is %.20q, want %q", versionKey, version, formatVersion)
	}
	return &Reader{Description: file.Metadata[NetworkKey], Checkpoint: file.Metadata[CheckpointKey], file: file}, nil
}

// maxCheckpoint is how many tensors of a checkpoint there may be.
const maxCheckpoint = 64

// Check returns an error if the file does not have these tensors, in their shapes, or has others
// that belong to no network: but for those of a checkpoint and PyTorch's count of batches beside a
// running mean. Data is not looked at. Nothing is kept of a file that is not fine.
func (r *Reader) Check(tensors []Tensor) error {
	wanted := make(map[string]bool, len(tensors))
	for _, w := range tensors {
		wanted[w.Name] = true
		if module, ok := strings.CutSuffix(w.Name, ".running_mean"); ok {
			wanted[module+".num_batches_tracked"] = true // nothing of ours depends on it
		}
	}
	var refused error
	left := maxCheckpoint
	found, err := r.file.Tensors(func(name string) bool {
		if wanted[name] {
			return true
		}
		if left--; r.Checkpoint == "" || !strings.HasPrefix(name, CheckpointPrefix) {
			refused = fmt.Errorf("tensor %.50q belongs to no layer", name)
		} else if left < 0 {
			refused = fmt.Errorf("it has more than %d tensors of a checkpoint", maxCheckpoint)
		}
		return refused == nil
	})
	if err != nil {
		return cmp.Or(refused, err)
	}
	r.found = make(map[string]safetensors.Tensor, len(found))
	for _, t := range found {
		r.found[t.Name] = t
	}
	return r.compare(tensors)
}

// Shape returns the shape of a tensor in the file, once Check has been called; nil if there is none
// of the name.
func (r *Reader) Shape(name string) []int { return r.found[name].Shape }

// compare returns an error if one of these tensors is not in the file as it should be.
func (r *Reader) compare(tensors []Tensor) error {
	for _, w := range tensors {
		t, ok := r.found[w.Name]
		if !ok {
			return fmt.Errorf("there is no tensor %q", w.Name)
		}
		if !slices.Equal(t.Shape, w.Shape) {
			return fmt.Errorf("tensor %q has shape %v, want %v", w.Name, t.Shape, w.Shape)
		}
		switch t.Type {
		case "F64", "F32":
		case "F16", "BF16":
			return fmt.Errorf("tensor %q is of type %s, want F64 or F32; save it after model.double() in PyTorch", w.Name, t.Type)
		default:
			return fmt.Errorf("tensor %q is of type %s, want F64 or F32", w.Name, t.Type)
		}
	}
	return nil
}

// Read fills the Data of the tensors, each as long as its shape says, once Check has been called;
// it can be called once. It returns an error if a tensor is not in the file, and if an element is
// not finite, but for tensors of a checkpoint, or below its tensor's Least.
func (r *Reader) Read(tensors []Tensor) error {
	if err := r.compare(tensors); err != nil {
		return err
	}
	data := make(map[string][]float64, len(tensors))
	for _, t := range tensors {
		data[t.Name] = t.Data
		if t.Data == nil {
			data[t.Name] = []float64{} // nil would pass the tensor over
		}
	}
	if err := r.file.Read(func(t safetensors.Tensor) []float64 { return data[t.Name] }); err != nil {
		return err
	}
	for _, t := range tensors {
		if err := t.checkValues(); err != nil {
			return fmt.Errorf("tensor %q %w", t.Name, err)
		}
	}
	return nil
}

// checkValues returns an error if an element cannot be what it should.
func (t *Tensor) checkValues() error {
	if !strings.HasPrefix(t.Name, CheckpointPrefix) && !kernel.Finite(t.Data) {
		i := slices.IndexFunc(t.Data, func(v float64) bool { return v-v != 0 })
		return fmt.Errorf("has %v at index %d, want finite numbers", t.Data[i], i)
	}
	if t.Least == nil {
		return nil
	}
	for i, v := range t.Data {
		if v < *t.Least {
			return fmt.Errorf("has %v at index %d, which cannot be a variance", v, i)
		}
	}
	return nil
}
