"""What the command line measures: the tables and figures of the model cards."""
