package main

import "os"

func Example() {
	defer os.Remove("iris.safetensors")
	main()
	// Output:
	// 96.7 % of the flowers held out are classified correctly
	// [6 2.9 4.9 1.7] is virginica with probability 0.74
}
