"""From a net's rough matte to edges and colours one can use. Arrays in, arrays out."""
