"""Training the models and fitting their priors."""
