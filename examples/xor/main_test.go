package main

func Example() {
	main()
	// Output:
	// Epoch 0, Loss: 0.7232
	// Epoch 1000, Loss: 0.0033
	// Epoch 2000, Loss: 0.0014
	// Epoch 3000, Loss: 0.0009
	// Epoch 4000, Loss: 0.0006
	// 0 xor 0 = 0.0004
	// 0 xor 1 = 0.9995
	// 1 xor 0 = 0.9995
	// 1 xor 1 = 0.0006
}
