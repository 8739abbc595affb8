package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"example.com/backprop/internal/kernel"
	"example.com/backprop/internal/modelfile"
	"example.com/backprop/internal/safetensors"
)

// Columns is the number of figures kept of an epoch: its number, loss, validation loss, η, the
// gradient's norm and the time that it took. Only the validation loss may be NaN, where there is no
// validation.
const (
	Columns          = 6
	validationColumn = 2
)

// A State is what a training was at the end of an epoch, but for its network.
type State struct {
	Fingerprint
	Stopped                    string    // why training ended; "" if it had not
	Best                       int       // the best epoch; −1 if there is none
	History                    []float64 // Columns an epoch
	Optimizer                  []float64
	BestParams, BestStatistics []float64 // of the best epoch; empty where they are not kept
}

// version is the version of the JSON, of what a training draws by chance and of what an optimizer
// remembers. Before 2 it was not written; before 3 dropout drew other numbers; before 4 Adam and
// RMSProp had the factors 1−β and 1−α in what they remember.
const version = 4

// metadata is a state's JSON.
type metadata struct {
	Version     int         `json:"version"`
	Fingerprint Fingerprint `json:"fingerprint"`
	Stopped     string      `json:"stopped,omitempty"`
	Best        int         `json:"best"`
}

// AddTo adds the state to the file of its network.
func (s *State) AddTo(f *safetensors.File) {
	text, _ := json.Marshal(metadata{version, s.Fingerprint, s.Stopped, s.Best}) // integers and strings: it cannot fail
	f.Metadata[modelfile.CheckpointKey] = string(text)
	for _, t := range s.tensors() {
		f.Tensors = append(f.Tensors, safetensors.Tensor{Name: t.Name, Type: "F64", Shape: t.Shape, Data: t.Data})
	}
}

// Another returns the error of a checkpoint that belongs to something else than the training that is
// wanted.
func Another(format string, args ...any) error {
	return fmt.Errorf("it belongs to "+format+"; delete it or choose another path", args...)
}

// The names of the tensors.
const (
	historyName        = modelfile.CheckpointPrefix + "history"
	optimizerName      = modelfile.CheckpointPrefix + "optimizer"
	bestParamsName     = modelfile.CheckpointPrefix + "best_params"
	bestStatisticsName = modelfile.CheckpointPrefix + "best_statistics"
)

// tensors returns the state's tensors, views of its slices.
func (s *State) tensors() []modelfile.Tensor {
	tensor := func(name string, data []float64, shape ...int) modelfile.Tensor {
		return modelfile.Tensor{Name: name, Shape: shape, Data: data}
	}
	return []modelfile.Tensor{
		tensor(historyName, s.History, len(s.History)/Columns, Columns),
		tensor(optimizerName, s.Optimizer, len(s.Optimizer)),
		tensor(bestParamsName, s.BestParams, len(s.BestParams)),
		tensor(bestStatisticsName, s.BestStatistics, len(s.BestStatistics)),
	}
}

// Wanted is what a checkpoint must be of to be taken up. It bounds the memory that reading one
// takes.
type Wanted struct {
	Fingerprint          // Initial is not looked at
	Epochs      int      // the most that there may be
	Optimizer   int      // the most values of the optimizer's state
	Params      int      // of the network
	Statistics  int      // of the network
	Patience    int      // above 0 if the best epoch's parameters and statistics are kept
	Reasons     []string // for which training may have ended
}

// Read reads the rest of a file, a checkpoint: its network, whose tensors are those given and whose
// Data it fills, and the state. It returns an error if the checkpoint is not one of the training
// that is wanted, or is damaged. Before that is known it takes no memory for the state.
func Read(r *modelfile.Reader, network []modelfile.Tensor, want Wanted) (*State, error) {
	if err := r.Check(network); err != nil {
		return nil, err
	}
	if r.Checkpoint == "" {
		return nil, errors.New("it is the file of a network, not a checkpoint")
	}
	own, _ := json.Marshal(want.Fingerprint)
	if len(r.Checkpoint) > 2*len(own)+1<<16 { // not worth the memory
		return nil, Another("another configuration, of %d bytes, want some %d", len(r.Checkpoint), len(own))
	}
	s, err := parse(r.Checkpoint)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", modelfile.CheckpointKey, err)
	}
	if err := s.check(want.Fingerprint); err != nil {
		return nil, err
	}
	if err := s.allocate(r, want); err != nil {
		return nil, err
	}
	if err := r.Read(slices.Concat(network, s.tensors())); err != nil {
		return nil, err
	}
	if err := s.checkValues(); err != nil {
		return nil, err
	}
	return s, nil
}

func parse(text string) (*State, error) {
	var m metadata
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON")
	}
	if m.Version < version {
		return nil, errors.New("an earlier version of this package has written it; Load reads the network in it, " +
			"but the training cannot be taken up, since names, what dropout draws or what optimizers remember have changed")
	}
	if m.Version != version {
		return nil, fmt.Errorf("its version is %d, want %d", m.Version, version)
	}
	return &State{Fingerprint: m.Fingerprint, Stopped: m.Stopped, Best: m.Best}, nil
}

var (
	errHistory   = errors.New("its history is damaged")
	errBest      = errors.New("its best epoch is damaged")
	errOptimizer = errors.New("its optimizer's state is damaged")
)

// allocate makes the slices that the file's tensors fill, if they have the sizes that they must
// have.
func (s *State) allocate(r *modelfile.Reader, want Wanted) error {
	for _, t := range s.tensors() {
		if r.Shape(t.Name) == nil {
			return fmt.Errorf("there is no tensor %q", t.Name)
		}
	}
	shape := r.Shape(historyName)
	if len(shape) != 2 || shape[1] != Columns {
		return errHistory
	}
	epochs := shape[0]
	if epochs > want.Epochs {
		return fmt.Errorf("it has %d epochs, Epochs is %d", epochs, want.Epochs)
	}
	if epochs == 0 && s.Best != -1 || epochs > 0 && (s.Best < 0 || s.Best >= epochs) {
		return errBest
	}
	if s.Stopped != "" && !slices.Contains(want.Reasons, s.Stopped) {
		return fmt.Errorf("its reason to stop, %.50q, is not known", s.Stopped)
	}
	if s.Stopped != "" && epochs == 0 {
		return errors.New("it has stopped before its first epoch")
	}
	params, ok1 := length(r, bestParamsName)
	statistics, ok2 := length(r, bestStatisticsName)
	none, all := params == 0 && statistics == 0, params == want.Params && statistics == want.Statistics
	if !ok1 || !ok2 || !none && (!all || epochs == 0) || none && want.Patience > 0 && epochs > 0 {
		return errBest
	}
	optimizer, ok := length(r, optimizerName)
	if !ok {
		return errOptimizer
	}
	if optimizer > want.Optimizer {
		return fmt.Errorf("the optimizer remembers %d values of another training, want %d at most", optimizer, want.Optimizer)
	}
	s.History, s.Optimizer = make([]float64, epochs*Columns), make([]float64, optimizer)
	s.BestParams, s.BestStatistics = make([]float64, params), make([]float64, statistics)
	return nil
}

// length returns the number of elements of a tensor, and whether it has one dimension.
func length(r *modelfile.Reader, name string) (n int, ok bool) {
	if shape := r.Shape(name); len(shape) == 1 {
		return shape[0], true
	}
	return 0, false
}

// checkValues returns an error if a figure is not what it must be.
func (s *State) checkValues() error {
	n := 0.0
	for row := range slices.Chunk(s.History, Columns) {
		for i, v := range row {
			if v-v != 0 && !(i == validationColumn && math.IsNaN(v)) {
				return errHistory
			}
		}
		if row[0] != n {
			return errHistory
		}
		n++
	}
	if !kernel.Finite(s.BestParams) || !kernel.Finite(s.BestStatistics) {
		return errBest
	}
	return nil
}
