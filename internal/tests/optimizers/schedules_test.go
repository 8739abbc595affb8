package optimizers_test

import (
	"fmt"
	"math"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
)

func TestSchedulesByHand(t *testing.T) {
	losses := []float64{5, 4, 4, 4, 4, 3, 3, 3, 3, 3}
	for _, c := range []struct {
		s    Schedule
		want []float64 // from a base of 8
	}{
		{StepDecay{Every: 2}, []float64{8, 8, 0.8, 0.8, 0.08}},
		{StepDecay{Every: 1, Factor: 0.5}, []float64{8, 4, 2, 1, 0.5}},
		{StepDecay{Every: 1, Factor: 0.95}, []float64{8, 8 * 0.95, 8 * 0.95 * 0.95}},
		{CosineDecay{Epochs: 4}, []float64{8, 4 + 2*math.Sqrt2, 4, 4 - 2*math.Sqrt2, 0, 0, 0}},
		{CosineDecay{Epochs: 2, Min: 2}, []float64{8, 5, 2, 2}},
		{Warmup{Epochs: 2}, []float64{8. / 3, 8 * 2. / 3, 8, 8}},
		{Warmup{Epochs: 4, Start: 0.2}, []float64{1.6, 3.2, 4.8, 6.4, 8, 8}},
		{Warmup{Epochs: 2, Start: 0.5, Then: StepDecay{Every: 1, Factor: 0.5}}, []float64{4, 6, 8, 4, 2}},
		// Epochs 2 and 3 bring nothing, which is more than one; then 4 and 5.
		{ReduceLROnPlateau{Patience: 1, Factor: 0.5}, []float64{8, 8, 8, 8, 4, 4, 4, 4, 2, 2, 1}},
		{ReduceLROnPlateau{Patience: 1, Factor: 0.5, Min: 3}, []float64{8, 8, 8, 8, 4, 4, 4, 4, 3, 3, 3}},
		// The two epochs after a reduction do not count.
		{ReduceLROnPlateau{Patience: 1, Factor: 0.5, Cooldown: 2}, []float64{8, 8, 8, 8, 4, 4, 4, 4, 2, 2, 2}},
		{ReduceLROnPlateau{}, []float64{8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8}},
		{ScheduleFunc(func(base float64, history []Epoch) float64 { return base / float64(1+len(history)) }), []float64{8, 4, 8. / 3, 2}},
	} {
		var history []Epoch
		for n, want := range c.want {
			EqualTo(t, fmt.Sprintf("%+v, epoch %d", c.s, n), []float64{c.s.Rate(8, history)}, []float64{want}, 4*FewUlps)
			if n < len(losses) {
				history = append(history, Epoch{N: n, Loss: losses[n], ValidationLoss: math.NaN()})
			}
		}
	}
}

func TestPlateauIsThatOfTheValidationLossIfThereIsOne(t *testing.T) {
	var history []Epoch
	for n := range 5 {
		history = append(history, Epoch{N: n, Loss: float64(10 - n), ValidationLoss: 1})
	}
	EqualTo(t, "η", []float64{ReduceLROnPlateau{Patience: 2}.Rate(1, history)}, []float64{0.1}, FewUlps)
}

func TestScheduleReachesTheOptimizerAndTheHistory(t *testing.T) {
	var used []float64
	net := NewNetwork(t, 1, Dense{Units: 1})
	h := Value(net.Train(t.Context(), Pattern(3, 1), Pattern(3, 1), TrainConfig{LearningRate: 8, Epochs: 4, Schedule: StepDecay{Every: 1, Factor: 0.5},
		Optimizer: StepFunc(func(params, grad []float64, eta float64) { used = append(used, eta) })}))(t)
	want := []float64{8, 4, 2, 1}
	EqualTo(t, "η", used, want, 0)
	for i, e := range h.Epochs {
		EqualTo(t, "LearningRate", []float64{e.LearningRate}, want[i:i+1], 0)
	}
}

func TestScheduleThatGivesNoRateIsAnError(t *testing.T) {
	for _, c := range []struct {
		eta  float64
		want string
	}{
		{math.NaN(), "NaN"}, {math.Inf(1), "+Inf"}, {-1, "-1"},
	} {
		net := NewNetwork(t, 1, Dense{Units: 1})
		h, err := net.Train(t.Context(), Pattern(3, 1), Pattern(3, 1), TrainConfig{LearningRate: 0.1, Epochs: 4,
			Schedule: ScheduleFunc(func(base float64, history []Epoch) float64 {
				if len(history) == 2 {
					return c.eta
				}
				return base
			})})
		Fails(t, err, "backprop: Train: Schedule gives η = "+c.want+" for epoch 2, want a finite number, 0 or more")
		if len(h.Epochs) != 2 {
			t.Errorf("%d epochs, want 2", len(h.Epochs))
		}
	}
}

// Train lets a plateau go on from what it has seen, in place of the whole history at every epoch.
func TestTheRateOnAPlateauIsThatOfTheWholeHistory(t *testing.T) {
	plateau := ReduceLROnPlateau{Factor: 0.7, Patience: 2, Threshold: 0.1, Cooldown: 1, Min: 1e-4}
	for _, schedule := range []Schedule{plateau, Warmup{Epochs: 5, Then: plateau}, Warmup{Epochs: 2, Then: Warmup{Epochs: 2, Then: plateau}}} {
		h := Value(NewNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dense{Units: 1}).Train(t.Context(), Pattern(9, 2), Pattern(9, 1),
			TrainConfig{LearningRate: 0.1, Epochs: 60, BatchSize: 4, Schedule: schedule}))(t)
		fallen := 0
		for i, e := range h.Epochs {
			SameBits(t, "LearningRate", []float64{e.LearningRate}, []float64{schedule.Rate(0.1, h.Epochs[:i])})
			if i > 0 && e.LearningRate < h.Epochs[i-1].LearningRate {
				fallen++
			}
		}
		if fallen < 5 {
			t.Errorf("%+v has fallen %d times", schedule, fallen)
		}
	}
}

// Doubled is a user's schedule that embeds one of the package's.
type doubled struct{ ReduceLROnPlateau }

func (s doubled) Rate(base float64, history []Epoch) float64 {
	return 2 * s.ReduceLROnPlateau.Rate(base, history)
}

func TestAScheduleThatEmbedsAPlateauIsAsked(t *testing.T) {
	h := Value(NewNetwork(t, 2, Dense{Units: 1}).Train(t.Context(), Pattern(3, 2), Pattern(3, 1),
		TrainConfig{LearningRate: 0.1, Epochs: 2, Schedule: doubled{}}))(t)
	EqualTo(t, "rates", []float64{h.Epochs[0].LearningRate, h.Epochs[1].LearningRate}, []float64{0.2, 0.2}, 0)
}
