package main

import (
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"example.com/backprop"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

var (
	token    = regexp.MustCompile(`[\p{L}\p{N}]+(?:['’][\p{L}\p{N}]+)*|[.,;:!?()]`)
	negation = regexp.MustCompile(`n['’]t$|^(not?|nor|never|nothing|neither|cannot|without|hardly|barely)$`)
)

// reach is how many words behind a negation are marked, as far as there is no punctuation between.
const reach = 3

// features returns the words of a text, the pairs of neighbouring ones and the punctuation marks,
// each once. Words behind a negation are words of their own, such as "not_good" (Pang, Lee and
// Vaithyanathan 2002).
func features(text string) []string {
	var found []string
	before, negated := "", 0
	for _, word := range token.FindAllString(strings.ToLower(text), -1) {
		if strings.Contains(".,;:!?()", word) {
			found = append(found, word)
			before, negated = "", 0
			continue
		}
		negates := negation.MatchString(word)
		if negated > 0 {
			word = "not_" + word
			negated--
		}
		if negates {
			negated = reach
		}
		found = append(found, word)
		if before != "" {
			found = append(found, before+" "+word)
		}
		before = word
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// A vocabulary holds features and their log-count ratios.
type vocabulary struct {
	names  []string
	index  map[string]int // of a name
	ratios []float64
}

// newVocabulary holds the words of the sentences and the pairs that stand in two of them or more.
// Two thirds of all features would be pairs that stand in one. The ratio of a feature is
// log((p/‖p‖₁)/(q/‖q‖₁)), p and q being 1 + the numbers of sentences of praise and of blame that
// have it (Wang and Manning 2012).
func newVocabulary(sentences []sentence) *vocabulary {
	counts := make(map[string][2]float64) // of blame and praise
	for _, s := range sentences {
		for _, name := range s.features {
			c := counts[name]
			c[s.praise]++
			counts[name] = c
		}
	}
	maps.DeleteFunc(counts, func(name string, c [2]float64) bool {
		return c[0]+c[1] < 2 && strings.Contains(name, " ")
	})
	v := &vocabulary{names: slices.Sorted(maps.Keys(counts)), index: make(map[string]int)}
	blame, praise := 0.0, 0.0
	for f, name := range v.names {
		c := counts[name]
		v.index[name] = f
		v.ratios = append(v.ratios, math.Log((1+c[1])/(1+c[0])))
		blame, praise = blame+1+c[0], praise+1+c[1]
	}
	floats.AddConst(math.Log(blame/praise), v.ratios)
	return v
}

// data is the sentences for a network, in the memory of x and y: a row of x holds the ratios of the
// features that the sentence has and 0 for all others, and one of y the label.
func (v *vocabulary) data(x, y *mat.Dense, sentences []sentence) backprop.Data {
	backprop.Resize(x, len(sentences), len(v.names)).Zero()
	backprop.Resize(y, len(sentences), 1)
	for i, s := range sentences {
		for _, name := range s.features {
			if f, known := v.index[name]; known {
				x.Set(i, f, v.ratios[f])
			}
		}
		y.Set(i, 0, float64(s.praise))
	}
	return backprop.Data{X: x, Y: y}
}
