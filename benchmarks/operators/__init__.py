"""One file an operator, each with

sizes(device, quick) -> (mode, size) pairs; shape(size) -> text; cost(mode, size);
providers(mode, size) -> name: version, ours first and named `videostr`;
make(provider, mode, device, size) -> the call to time, its inputs built; "tiny" is a size too;
error(provider, mode, device, size) -> largest difference from float64, relative to its scale.
"""
