module example.com/backprop/examples/lbfgs

go 1.26

require (
	example.com/backprop v0.0.0
	gonum.org/v1/gonum v0.17.0
)

require golang.org/x/tools v0.30.0 // indirect

replace example.com/backprop => ../..
