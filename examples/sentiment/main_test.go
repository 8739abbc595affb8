package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
)

func TestTheEmbeddedSentencesAreThePublishedOnes(t *testing.T) {
	sentences, err := load("")
	if err != nil {
		t.Fatal(err)
	}
	for i, origin := range []string{"amazon", "imdb", "yelp"} {
		if n := count(sentences[1000*i : 1000*(i+1)]); n != [2]int{500, 500} {
			t.Errorf("%v sentences of blame and praise from %s, want 500 of each", n, origin)
		}
	}
}

func TestFeaturesAreWordsPairsAndMarkedNegations(t *testing.T) {
	for _, c := range []struct {
		text  string
		reach int
		want  []string
	}{
		{"Good case, GOOD value!", 1, []string{"!", ",", "case", "good", "good case", "good value", "value"}},
		{"not very good phone", 2, []string{"not", "not not_very", "not_good", "not_good phone", "not_very", "not_very not_good", "phone"}},
		{"don't go. Stay", math.MaxInt, []string{".", "don't", "don't not_go", "not_go", "stay"}},
		{"isn’t 'it'", 0, []string{"isn’t", "isn’t it", "it"}},
		{"never not fun", 1, []string{"never", "never not_not", "not_fun", "not_not", "not_not not_fun"}},
	} {
		if got := features(split(c.text), c.reach); !slices.Equal(got, c.want) {
			t.Errorf("features of %q at reach %d are %q, want %q", c.text, c.reach, got, c.want)
		}
	}
}

// corpus makes sentences of words of one letter, "+" before those of praise.
func corpus(texts ...string) []sentence {
	var sentences []sentence
	for _, text := range texts {
		words, isPraise := strings.CutPrefix(text, "+")
		s := sentence{text: words, tokens: split(words)}
		if isPraise {
			s.praise = 1
		}
		sentences = append(sentences, s)
	}
	return sentences
}

// By hand: with 1 added, "a" and "." are 3 in praise and 1 in blame, "b" 2 and 1, "c" 2 and 3,
// which makes 10 and 6. No pair stands in two sentences.
func TestRatiosAreThoseOfThePaper(t *testing.T) {
	v := newVocabulary(corpus("+a. b", "+a. c", "c", "c"), 1)
	want := map[string]float64{
		".": math.Log(3. / 10 / (1. / 6)),
		"a": math.Log(3. / 10 / (1. / 6)),
		"b": math.Log(2. / 10 / (1. / 6)),
		"c": math.Log(2. / 10 / (3. / 6)),
	}
	if len(v.names) != len(want) {
		t.Errorf("features %q, want those of %v", v.names, want)
	}
	for f, name := range v.names {
		if got := logRatio(v.of[f], v.sum); math.Abs(got-want[name]) > 1e-15 {
			t.Errorf("the log-count ratio of %q is %v, want %v", name, got, want[name])
		}
	}
}

// Left out of the counts, each sentence is judged as by a vocabulary of the others, in which the
// words that they do not have are counted 1, too.
func TestASentenceLeftOutDoesNotJudgeItself(t *testing.T) {
	sentences := corpus("+a. b. d", "+a. c", "+b. c", "c. d", "c. a", "d. e")
	v := newVocabulary(sentences, 1)
	for i, s := range sentences {
		rest := newVocabulary(slices.Delete(slices.Clone(sentences), i, i+1), 1)
		of, sum := make([]counts, len(v.names)), counts{}
		for f, name := range v.names {
			of[f] = counts{1, 1}
			if g, known := rest.index[name]; known {
				of[f] = rest.of[g]
			}
			sum = sum.plus(of[f])
		}
		rest.names, rest.index, rest.of, rest.sum = v.names, v.index, of, sum
		if got, want := v.naiveBayes(v.samples(s), 1), rest.naiveBayes(rest.samples(s), 0); got != want {
			t.Errorf("sentence %d: %v right, want %v", i, got, want)
		}
	}
}

func TestFoldsHoldEachSentenceOnceAndKeepItFromTraining(t *testing.T) {
	sentences, err := load("")
	if err != nil {
		t.Fatal(err)
	}
	parts := deal(sentences, folds, 7)
	dealt := make(map[string]int)
	for f, part := range parts {
		if n := count(part); n != [2]int{150, 150} {
			t.Errorf("fold %d has %v sentences of blame and praise, want 150 of each", f, n)
		}
		held := make(map[string]bool)
		for _, s := range part {
			dealt[s.text]++
			held[s.text] = true
		}
		training := others(parts, f)
		if len(training) < 2680 || len(training) > 2700 {
			t.Errorf("fold %d is trained on %d sentences, want 2700 but for those that come twice", f, len(training))
		}
		for _, s := range training {
			if held[s.text] {
				t.Errorf("fold %d is trained on %q, which tests it", f, s.text)
			}
		}
	}
	for _, s := range sentences {
		dealt[s.text]--
	}
	for text, n := range dealt {
		if n != 0 {
			t.Errorf("%q was dealt %+d times too often", text, n)
		}
	}
}

func count(sentences []sentence) (n [2]int) {
	for _, s := range sentences {
		n[s.praise]++
	}
	return n
}

func TestAFileThatCannotBeReadIsAnErrorThatNamesTheLine(t *testing.T) {
	good := strings.Repeat("x\t0\tbad\nx\t1\tgood\n", folds)
	for name, c := range map[string]struct{ file, want string }{
		"a field too few":      {good + "x\t1 good\n", "line 21: 2 fields, want 3"},
		"a field too many":     {good + "x\t1\tgood\t\n", "line 21: 4 fields, want 3"},
		"no label":             {"x\t\tgood\n" + good, `line 1: label "", want 1 for praise`},
		"another label":        {"x\t-1\tgood\n" + good, `line 1: label "-1", want 1 for praise`},
		"a label without end":  {"x\t" + strings.Repeat("1", 1000) + "\tgood\n", `line 1: label "11111111111111111111", want`},
		"an empty line":        {good + "\n" + good, "line 21: 1 fields"},
		"no word":              {good + "x\t1\t – \n", `line 21: no word in the sentence " – "`},
		"other bytes":          {good + "x\t1\tgood \xff\n", "line 21: not UTF-8"},
		"a line without end":   {good + "x\t1\t" + strings.Repeat("long ", 1<<15), "line 21: bufio.Scanner: token too long"},
		"nothing":              {"", "0 sentences of blame and 0 of praise, want 10 or more"},
		"praise only":          {strings.Repeat("x\t1\tgood\n", 99), "0 sentences of blame and 99 of praise"},
		"the same all through": {strings.Repeat("x\t1\tgood\nx\t0\tgood\n", 99), "nothing to learn from"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file.tsv")
			if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			err := run(&out, nil, path, 1, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
		})
	}
}

// phones are the 1000 sentences about phones.
func phones(t *testing.T) []sentence {
	t.Helper()
	sentences, err := load("")
	if err != nil {
		t.Fatal(err)
	}
	return sentences[:1000]
}

func TestHeldOutSentencesAreJudged(t *testing.T) {
	parts := deal(phones(t), 5, 0)
	got, bayes, err := judgeFold(others(parts, 0), parts[0], 0)
	if err != nil {
		t.Fatal(err)
	}
	if got < 0.8 || bayes < 0.75 {
		t.Errorf("%.3f of the sentences held out are judged right and %.3f by naive Bayes, want 0.8", got, bayes)
	}
}

// Labels drawn by chance cannot be learnt, so whoever judges held-out sentences better than a coin
// has seen them.
func TestLabelsByChanceAreNotJudged(t *testing.T) {
	sentences, rng := phones(t), rand.New(rand.NewPCG(0, 0))
	for i := range sentences {
		sentences[i].praise = rng.IntN(2)
	}
	parts := deal(sentences, 5, 0)
	got, bayes, err := judgeFold(others(parts, 0), parts[0], 0)
	if err != nil {
		t.Fatal(err)
	}
	if got > 0.64 || bayes > 0.64 {
		t.Errorf("%.3f of labels drawn by chance are judged right and %.3f by naive Bayes, want 0.5", got, bayes)
	}
}

func TestInfluenceIsTheDerivativeByTheWord(t *testing.T) {
	j, err := learn(phones(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	samples := j.words.samples(corpus("works great", "not worth it", "it works")...)
	_, influence, err := j.verdicts(samples)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]float64, len(influence))
	for _, s := range samples {
		var x, y mat.Dense
		j.words.data(&x, &y, []sample{s})
		for _, f := range s.features {
			v := x.At(0, f)
			logit := func(h float64) float64 {
				x.Set(0, f, v*(1+h))
				defer x.Set(0, f, v)
				p, err := j.net.Predict(&x)
				if err != nil {
					t.Fatal(err)
				}
				return math.Log(p.At(0, 0) / (1 - p.At(0, 0)))
			}
			const h = 1e-4
			want[f] += (logit(h) - logit(-h)) / (2 * h)
		}
	}
	for f := range want {
		if math.Abs(influence[f]-want[f]) > 1e-6 {
			t.Errorf("%s: influence %v, want %v", j.words.names[f], influence[f], want[f])
		}
	}
}

// small writes a small file of sentences and returns its path.
func small(t *testing.T) string {
	t.Helper()
	var file strings.Builder
	for i := range 30 {
		fmt.Fprintf(&file, "x\t0\ta bad film%d\nx\t1\ta good film%d\r\n", i, i)
	}
	path := filepath.Join(t.TempDir(), "file.tsv")
	if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSentencesTypedInAreJudged(t *testing.T) {
	path := small(t)
	const good, bad = "Good!\n\tfor praise: good\n", "so bad\n\tfor praise: \n\tfor blame: bad\n"
	for _, c := range []struct {
		texts []string
		stdin string
		want  []string
	}{
		{[]string{"Good!", "so bad"}, "", []string{good, bad}},
		{[]string{"-"}, "so bad\nGood!", []string{good, bad}},
		{nil, "", []string{"mean of 1: 100.00 %", "for praise: good, a good", "for blame: bad, a bad"}},
	} {
		var out bytes.Buffer
		if err := run(&out, strings.NewReader(c.stdin), path, 1, c.texts); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("for %q and %q it printed\n%swant %q in it", c.texts, c.stdin, &out, want)
			}
		}
	}
}

func TestWhatCannotBeDoneIsAnError(t *testing.T) {
	for name, err := range map[string]error{
		"no shuffle":      run(io.Discard, nil, "", 0, nil),
		"no file":         run(io.Discard, nil, filepath.Join(t.TempDir(), "none"), 1, nil),
		"a line too long": run(io.Discard, strings.NewReader(strings.Repeat("a", 1<<17)), small(t), 1, []string{"-"}),
	} {
		if err == nil {
			t.Errorf("%s is no error", name)
		}
	}
}
