module example.com/backprop/examples/onnx

go 1.26

require (
	example.com/backprop v0.0.0
	github.com/yalue/onnxruntime_go v1.27.0
)

require gonum.org/v1/gonum v0.17.0

replace example.com/backprop => ../..
