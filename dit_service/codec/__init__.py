"""The audio codec on a GPU: each convolution one kernel, with what surrounds it."""
