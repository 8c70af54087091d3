"""What the command line measures: the tables and figures of the model cards.

Most are about the models that ship, and know sixteenths in 4/4 alone.
"""
