package main

func Example() {
	main()
	// Output:
	// loss below 1e-5 after 200 iterations at most: true
}
