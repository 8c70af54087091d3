"""The networks: encoder, decoder, output heads, and the model they make together."""
