"""The networks: encoders, decoders, output heads, priors, and the models built from them."""
