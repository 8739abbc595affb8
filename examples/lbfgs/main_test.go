package main

func Example() {
	main()
	// Output:
	// loss below 1e-5: true
}
