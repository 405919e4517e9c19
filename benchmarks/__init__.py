"""What is measured, and what can be read from the compiled kernels without running them."""
