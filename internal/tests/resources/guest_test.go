package resources_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

// The library never prints of its own accord, exits, recovers a panic, draws from a source that is
// not seeded or changes gonum's BLAS. Its text is looked through for the names of what would.
func TestTheLibraryNeverUsesWhatAGuestDoesNot(t *testing.T) {
	seeded := map[string]bool{"New": true, "NewPCG": true, "Rand": true, "PCG": true}
	forbidden := func(of, name string) bool {
		switch of {
		case "":
			return name == "recover" || name == "print" || name == "println"
		case "os":
			return name == "Exit" || name == "Stdout" || name == "Stderr"
		case "fmt":
			return strings.HasPrefix(name, "Print")
		case "rand":
			return !seeded[name]
		case "blas64", "lapack64":
			return name == "Use"
		}
		return of == "log" || of == "slog"
	}
	files := slices.Concat(Value(filepath.Glob("../../../*.go"))(t), Value(filepath.Glob("../../*/*.go"))(t))
	looked := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		looked++
		tree := Value(parser.ParseFile(token.NewFileSet(), file, nil, 0))(t)
		ast.Inspect(tree, func(n ast.Node) bool {
			of, name := "", ""
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok {
					of, name = x.Name, n.Sel.Name
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok {
					name = f.Name
				}
			}
			if forbidden(of, name) {
				t.Errorf("%s uses %s.%s", file, of, name)
			}
			return true
		})
	}
	if looked < 6 {
		t.Errorf("only %d files", looked)
	}
}

// The panic of a caller's own code comes out as it is. In the bubble of synctest, a goroutine that
// it leaves behind fails the test.
func TestPanicsOfTheCallersCodeAreNotRecovered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := NewNetwork(t, 64, Dense{Units: 256}, Dense{Units: 1})
		x, y := Pattern(256, 64), Pattern(256, 1)
		mine := &Counting{Loss: MSE, Every: func() { panic("mine") }}
		Panics(t, "mine", func() { net.Train(t.Context(), x, y, TrainConfig{LearningRate: 1, Epochs: 1, Loss: mine}) })
		Panics(t, "mine", func() { net.Loss(x, y, mine) })
		Panics(t, "mine", func() { net.Predict(panicking{x}) })
		if _, err := net.Predict(x); err != nil {
			t.Error(err)
		}
	})
}

// panicking is a matrix that panics when it is read.
type panicking struct{ mat.Matrix }

func (panicking) At(i, j int) float64 { panic("mine") }
